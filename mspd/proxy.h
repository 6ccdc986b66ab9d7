/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - the request pipeline: who, what, may they, sign, forward, record
 * (spec 6.3). Wires the library to the server; decides nothing itself.
 */
#ifndef MSPD_PROXY_H
#define MSPD_PROXY_H

#include "mspd/audit.h"
#include "mspd/connlog.h"
#include "mspd/identity.h"
#include "mspd/limits.h"
#include "mspd/meter.h"
#include "mspd/policy.h"
#include "mspd/provision.h"
#include "mspd/rate.h"
#include "mspd/refused.h"
#include "mspd/server.h"
#include "mspd/status.h"
#include "mspd/upstream.h"

struct mspd_proxy;

/* Everything borrowed; must outlive the proxy. */
struct mspd_proxy_opts {
	struct mspd_loop *loop;
	struct mspd_identities *identities;
	struct mspd_upstreams *upstreams;
	struct mspd_policy_slot *policies;
	struct mspd_status *status;
	struct mspd_summary *summary;
	struct mspd_audit *audit;
	struct mspd_connlog *connlog; /* NULL: none */
	bool trace;		      /* stages of requests */
	struct mspd_provision *provision;
	struct mspd_rate *rate; /* NULL: no limit */
	struct mspd_meter *meter;
	struct mspd_refused *refused;
	struct msp_address endpoints[MSP_ENDPOINTS];
};

extern const struct mspd_server_ops mspd_proxy_ops;

/* 0 or -errno; the proxy is the arg of mspd_proxy_ops. */
int mspd_proxy_new(struct mspd_proxy **out, const struct mspd_proxy_opts *opts);
void mspd_proxy_free(struct mspd_proxy *proxy);

#endif
