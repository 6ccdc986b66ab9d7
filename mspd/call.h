/* SPDX-License-Identifier: MIT */
/*
 * call.h - one client connection and the request it is busy with. call.c
 * answers and records it, for proxy.c, which admits and decides, local.c,
 * which answers itself, and forward.c, which signs and streams.
 */
#ifndef MSPD_CALL_H
#define MSPD_CALL_H

#include <sys/queue.h>

#include "mspd/audit_hold.h"
#include "mspd/proxy.h"

/** Largest body of a request that is signed, in bytes (spec 6.6). */
#define MSPD_SIGNED_BODY_MAX (100 * 1024)
/** Largest body of a request that is streamed unsigned. */
#define MSPD_EXEMPT_BODY_MAX (100 * 1024 * 1024)

/** Body of an answer that is read before the client is answered, so that both
 * go out in one piece. */
#define MSPD_READ_AHEAD (16 * 1024)

/** Requests that are kept for others, at most, and the longest target they may
 * have had: a longer one has made them large. */
#define MSPD_SPARE_REQUESTS 64
#define MSPD_SPARE_TARGET   400

/** Room of the one body that is kept for others, in bytes. */
#define MSPD_SPARE_BODY 8192

struct mspd_proxy {
	struct mspd_proxy_opts opts;
	struct mspd_policy *held;  /* newest snapshot seen by the loop */
	struct msp_signer *signer; /* for held->key, NULL without */
	uint64_t signer_generation;
	struct mspd_hold hold; /* requests that cannot be recorded yet */
	uint64_t requests;
	uint64_t connections;
	uint8_t ahead[MSPD_READ_AHEAD]; /* body of the answer at hand */
	struct mspd_limits limits;
	uint64_t lap_turn; /* of the loop, in which a request began last */
	/* owned, for requests to come: one that waits for nothing has none */
	struct msp_request *spare[MSPD_SPARE_REQUESTS];
	size_t n_spare;
	uint8_t *spare_body; /* owned; NULL: in use, or none so far */
	/* composed, to be sent at the end of this pass; the first first */
	TAILQ_HEAD(, mspd_call) ready;
};

/** Most stages that are remembered of a request. */
#define MSPD_CALL_STAGES 8

struct mspd_stage_of_call {
	const char *text;
	uint64_t us; /* since the request's head */
	struct timespec time;
};

struct mspd_call {
	struct mspd_proxy *proxy;
	struct mspd_identity identity;
	uint16_t client_port;
	uint32_t client_ip;
	uint64_t connection; /* its number */
	int endpoint;	     /* enum msp_endpoint, -1 unknown */

	/* of the request at hand */
	struct msp_request *request; /* owned while there is one */
	struct mspd_exchange *x;
	struct mspd_head head;
	struct mspd_held held;
	struct mspd_policy *policy; /* one epoch from start to end */
	struct msp_decision decision;
	bool decided; /* decision holds something */
	bool judged;  /* and it is that of the rules */
	bool exempt;
	bool local; /* answered by the agent itself */
	bool replied;
	bool recorded;
	bool upstream_failed;
	bool from_host; /* what it is answered with */
	bool retried;
	bool came_whole;    /* the host's answer */
	bool body_finished; /* a streamed body has been handed over whole */
	uint64_t id;
	const char *details; /* why the host did not answer, or NULL */
	bool logged;	     /* there are lines of it in the connection log */
	struct mspd_stage_of_call *stages; /* owned; NULL: none so far */
	size_t n_stages;
	uint64_t started_us;
	uint64_t lap_us; /* since when it is in its stage; 0: not measured */
	struct timespec started;
	uint8_t *body; /* of a request to be signed, then what was read ahead */
	size_t body_len, body_room;
	size_t body_at; /* first byte that was not handed on */
	uint64_t streamed;
	struct mspd_upstream *up;
	bool is_ready; /* among those of the proxy */
	TAILQ_ENTRY(mspd_call) next_ready;
};

/* A new request: its head, number and time. */
void mspd_call_start(struct mspd_call *call, const struct mspd_head *head);
/* Microseconds since its head. */
uint64_t mspd_call_us(const struct mspd_call *call);
/* A stage of it is over, and the next one begins. */
void mspd_call_lap(struct mspd_call *call, enum mspd_meter_stage stage);
/* Why a request is turned away before the rules, in the words of a decision. */
void mspd_call_note(struct mspd_call *call, enum msp_reason reason);

/* Nobody needs it any more. */
void mspd_call_drop_body(struct mspd_call *call);

/* Only the audit line: for what is not even a request. */
void mspd_call_audit(struct mspd_call *call, unsigned int status, uint64_t us);
/* Counters of what became of it. */
void mspd_call_meter(struct mspd_call *call, unsigned int status, uint64_t us);
/* Audit line and summaries, once; status 0: nobody was there to be answered. */
void mspd_call_record(struct mspd_call *call, unsigned int status);

/* Answer and record. */
void mspd_call_reply(struct mspd_call *call, const struct mspd_reply *reply);
/* Answer with an empty body, record; close if something failed. */
void mspd_call_refuse(struct mspd_call *call, unsigned int status);
/* Answer 429. */
void mspd_call_refuse_rate(struct mspd_call *call);
/* The same with a text for people; allow: value of that header, or NULL. */
void mspd_call_refuse_text(struct mspd_call *call, unsigned int status,
			   const char *allow, const char *text);

/* forward.c: the request is allowed. */
void mspd_forward_start(struct mspd_call *call);
size_t mspd_forward_body(struct mspd_call *call, const void *data, size_t len);
void mspd_forward_end(struct mspd_call *call);
ssize_t mspd_forward_read(struct mspd_call *call, void *out, size_t size);
/* Those whose requests have ended in this pass go out. */
void mspd_forward_ready(struct mspd_proxy *proxy);
void mspd_forward_close(struct mspd_call *call);

/* local.c: requests the agent answers itself. True if it was one. */
bool mspd_local_answer(struct mspd_call *call);
/* Is it one? */
bool mspd_local_wanted(const struct mspd_call *call);

#endif
