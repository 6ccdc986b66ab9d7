/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - the three governed endpoints, their modes and addresses.
 */
#ifndef MSP_ENDPOINT_H
#define MSP_ENDPOINT_H

#include <msp/defs.h>

/** The endpoints the protocol governs (spec section 11). */
enum msp_endpoint {
	MSP_ENDPOINT_WIRESERVER = 0,	/* 168.63.129.16:80 */
	MSP_ENDPOINT_IMDS = 1,		/* 169.254.169.254:80 */
	MSP_ENDPOINT_HOSTGA = 2		/* 168.63.129.16:32526 */
};
#define MSP_ENDPOINTS 3

/** Mode of an endpoint (spec 5.4). Zero is the closed one. */
enum msp_mode {
	MSP_MODE_ENFORCE = 0,
	MSP_MODE_AUDIT = 1,
	MSP_MODE_DISABLED = 2
};

/**
 * struct msp_address - an IPv4 address and a TCP port
 * @ip:       in network byte order, as in struct in_addr
 * @port:     in host byte order
 * @reserved: 0
 */
struct msp_address {
	uint32_t ip;
	uint16_t port;
	uint16_t reserved;
};

MSP_BEGIN_DECLS

/**
 * msp_endpoint_name - "WireServer", "IMDS", "HostGAPlugin"
 * @endpoint: any number
 *
 * Returns a constant, "unknown" for what is no endpoint. Threads: any.
 */
MSP_API const char *msp_endpoint_name(enum msp_endpoint endpoint);

/**
 * msp_endpoint_address - the address Azure gives an endpoint
 * @out:      filled in
 * @endpoint: which
 * Threads: any. Errors: MSP_ERR_INVAL.
 */
MSP_API MSP_MUST_CHECK int
msp_endpoint_address(struct msp_address *out, enum msp_endpoint endpoint);

/**
 * msp_mode_name - "Enforce", "Audit" or "Disabled", as the status spells them
 * @mode: any number
 *
 * Returns a constant, "unknown" for what is no mode. Threads: any.
 */
MSP_API const char *msp_mode_name(enum msp_mode mode);

MSP_END_DECLS

#endif
