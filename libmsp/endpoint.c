/* SPDX-License-Identifier: MIT */
/*
 * In: an endpoint or a mode. Out: its name and address (spec 5.4, 11).
 */
#include <msp/endpoint.h>
#include <msp/error.h>

#include <arpa/inet.h>

const char *msp_endpoint_name(enum msp_endpoint endpoint)
{
	switch (endpoint) {
	case MSP_ENDPOINT_WIRESERVER:
		return "WireServer";
	case MSP_ENDPOINT_IMDS:
		return "IMDS";
	case MSP_ENDPOINT_HOSTGA:
		return "HostGAPlugin";
	}
	return "unknown";
}

int msp_endpoint_address(struct msp_address *out, enum msp_endpoint endpoint)
{
	static const struct {
		uint32_t ip;
		uint16_t port;
	} known[MSP_ENDPOINTS] = {
		[MSP_ENDPOINT_WIRESERVER] = { 0xa83f8110, 80 },
		[MSP_ENDPOINT_IMDS] = { 0xa9fea9fe, 80 },
		[MSP_ENDPOINT_HOSTGA] = { 0xa83f8110, 32526 },
	};

	if (!out || (unsigned int)endpoint >= MSP_ENDPOINTS)
		return MSP_ERR_INVAL;
	out->ip = htonl(known[endpoint].ip);
	out->port = known[endpoint].port;
	out->reserved = 0;
	return 0;
}

const char *msp_mode_name(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_ENFORCE:
		return "Enforce";
	case MSP_MODE_AUDIT:
		return "Audit";
	case MSP_MODE_DISABLED:
		return "Disabled";
	}
	return "unknown";
}
