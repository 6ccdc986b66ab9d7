/* SPDX-License-Identifier: MIT */
/*
 * meter.h - counters of what became of requests, for the control and the
 * metrics socket: by endpoint, verdict and reason; of the last minute and hour;
 * how long they took.
 *
 * Belongs to the loop's thread. A request costs some additions: no lock, no
 * memory; and the stages of one in each turn some readings of the clock.
 */
#ifndef MSPD_METER_H
#define MSPD_METER_H

#include <stdbool.h>
#include <stdint.h>

#include <msp/msp.h>

/** The last one: of no endpoint. */
#define MSPD_METER_ENDPOINTS (MSP_ENDPOINTS + 1)
/** Those of enum msp_reason, then: never came to a decision. */
#define MSPD_METER_REFUSED ((unsigned int)MSP_REASON_DEFAULT_DENY + 1)
#define MSPD_METER_REASONS (MSPD_METER_REFUSED + 1)
/** Upper bounds of mspd_meter_bound(); one more bucket is for what is longer.
 */
#define MSPD_METER_BOUNDS 12

enum mspd_meter_verdict {
	MSPD_METER_ALLOW = 0, /* answered by the host */
	MSPD_METER_AUDIT = 1, /* the same; enforce would have refused it */
	MSPD_METER_DENY = 2,
	MSPD_METER_ERROR = 3 /* not refused, and not answered by the host */
};
#define MSPD_METER_VERDICTS 4

/* One after the other; none of what did not come to it. */
enum mspd_meter_stage {
	MSPD_METER_TOTAL = 0,	 /* from the head to the answer */
	MSPD_METER_RECORD = 1,	 /* until it could be recorded */
	MSPD_METER_IDENTITY = 2, /* who it is */
	MSPD_METER_DECISION = 3, /* what the rules say */
	MSPD_METER_BODY = 4,	 /* until a body that is signed was there */
	MSPD_METER_SIGN = 5,	 /* composed and signed */
	MSPD_METER_HOST = 6	 /* until the head of the host's answer */
};
#define MSPD_METER_STAGES 7

/* Requests by enum mspd_meter_verdict. */
struct mspd_meter_counts {
	uint64_t n[MSPD_METER_VERDICTS];
};

struct mspd_histogram {
	uint64_t bucket[MSPD_METER_BOUNDS + 1]; /* not cumulative */
	uint64_t sum_us;
};

/* So many slots of so many milliseconds; the first ends up in the second. */
#define MSPD_METER_SHORT    12
#define MSPD_METER_SHORT_MS 5000
#define MSPD_METER_LONG	    60
#define MSPD_METER_LONG_MS  60000

/* Zeroed before use. */
struct mspd_meter {
	uint64_t requests[MSPD_METER_ENDPOINTS][MSPD_METER_VERDICTS]
			 [MSPD_METER_REASONS];
	struct mspd_histogram stages[MSPD_METER_STAGES];
	uint64_t host_errors[MSP_ENDPOINTS];
	/* windows: since when the current slots are, and which they are */
	uint64_t slot; /* number of the current short one since boot */
	struct mspd_meter_counts brief[MSPD_METER_SHORT];
	struct mspd_meter_counts hour[MSPD_METER_LONG];
	struct mspd_meter_counts *current;
};

/* One more request. @endpoint: -1, or enum msp_endpoint; @reason: enum
 * msp_reason or MSPD_METER_REFUSED; @now_ms: the loop's clock, also below. */
void mspd_meter_count(struct mspd_meter *meter, int endpoint,
		      enum mspd_meter_verdict verdict, unsigned int reason,
		      uint64_t now_ms);

/* One stage of it took so long. */
void mspd_meter_took(struct mspd_meter *meter, enum mspd_meter_stage stage,
		     uint64_t us);

/* What there was in about the last minute, and in the last hour. */
void mspd_meter_minute(struct mspd_meter *meter, uint64_t now_ms,
		       struct mspd_meter_counts *out);
void mspd_meter_hour(struct mspd_meter *meter, uint64_t now_ms,
		     struct mspd_meter_counts *out);
/* Since the start. */
void mspd_meter_total(const struct mspd_meter *meter,
		      struct mspd_meter_counts *out);

/* Upper bound of a bucket, in microseconds. */
uint64_t mspd_meter_bound(unsigned int bucket);

/* Names for labels; of a reason that of msp_reason_name(), or "refused". */
const char *mspd_meter_endpoint_name(unsigned int endpoint);
const char *mspd_meter_verdict_name(unsigned int verdict);
const char *mspd_meter_reason_name(unsigned int reason);
const char *mspd_meter_stage_name(unsigned int stage);

#endif
