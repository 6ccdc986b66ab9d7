/* SPDX-License-Identifier: MIT */
/*
 * In: what became of requests. Out: counters, windows, histograms. Must never
 * cost a request more than some additions, nor need a timer when nothing
 * happens: windows move on when they are used.
 */
#include "mspd/meter.h"

#include <string.h>

static const uint64_t bounds[MSPD_METER_BOUNDS] = {
	5,    20,    50,     100,     250,     1000,
	5000, 25000, 100000, 1000000, 5000000, 30000000,
};

/* ---- windows ----------------------------------------------------------- */

#define PER_LONG (MSPD_METER_LONG_MS / MSPD_METER_SHORT_MS)

static struct mspd_meter_counts *long_slot(struct mspd_meter *m, uint64_t slot)
{
	return &m->hour[slot / PER_LONG % MSPD_METER_LONG];
}

static void add(struct mspd_meter_counts *to,
		const struct mspd_meter_counts *from)
{
	size_t i;

	for (i = 0; i < MSPD_METER_VERDICTS; i++)
		to->n[i] += from->n[i];
}

/* From one short slot to the next. */
static void step(struct mspd_meter *m)
{
	static const struct mspd_meter_counts none;

	m->slot++;
	m->current = &m->brief[m->slot % MSPD_METER_SHORT];
	*m->current = none;
	if (m->slot % PER_LONG == 0)
		*long_slot(m, m->slot) = none;
}

static void move_on(struct mspd_meter *m, uint64_t slot)
{
	if (m->current)
		add(long_slot(m, m->slot), m->current);
	/* after a long time without any request: nothing is left */
	if (!m->current ||
	    slot - m->slot >= (uint64_t)PER_LONG * MSPD_METER_LONG) {
		memset(m->brief, 0, sizeof(m->brief));
		memset(m->hour, 0, sizeof(m->hour));
		m->slot = slot;
		m->current = &m->brief[slot % MSPD_METER_SHORT];
		return;
	}
	while (m->slot < slot)
		step(m);
}

static void look_at_clock(struct mspd_meter *m, uint64_t now_ms)
{
	uint64_t slot = now_ms / MSPD_METER_SHORT_MS;

	if (!m->current || slot > m->slot)
		move_on(m, slot);
}

void mspd_meter_minute(struct mspd_meter *meter, uint64_t now_ms,
		       struct mspd_meter_counts *out)
{
	size_t i;

	memset(out, 0, sizeof(*out));
	look_at_clock(meter, now_ms);
	for (i = 0; i < MSPD_METER_SHORT; i++)
		add(out, &meter->brief[i]);
}

void mspd_meter_hour(struct mspd_meter *meter, uint64_t now_ms,
		     struct mspd_meter_counts *out)
{
	size_t i;

	memset(out, 0, sizeof(*out));
	look_at_clock(meter, now_ms);
	for (i = 0; i < MSPD_METER_LONG; i++)
		add(out, &meter->hour[i]);
	/* which is only added when it is over */
	add(out, meter->current);
}

void mspd_meter_total(const struct mspd_meter *meter,
		      struct mspd_meter_counts *out)
{
	size_t e, v, r;

	memset(out, 0, sizeof(*out));
	for (e = 0; e < MSPD_METER_ENDPOINTS; e++)
		for (v = 0; v < MSPD_METER_VERDICTS; v++)
			for (r = 0; r < MSPD_METER_REASONS; r++)
				out->n[v] += meter->requests[e][v][r];
}

/* ---- counting ---------------------------------------------------------- */

void mspd_meter_count(struct mspd_meter *meter, int endpoint,
		      enum mspd_meter_verdict verdict, unsigned int reason,
		      uint64_t now_ms)
{
	unsigned int e = endpoint >= 0 && endpoint < MSP_ENDPOINTS
				 ? (unsigned int)endpoint
				 : MSP_ENDPOINTS;
	unsigned int r =
		reason < MSPD_METER_REASONS ? reason : MSPD_METER_REFUSED;

	look_at_clock(meter, now_ms);
	meter->requests[e][verdict][r]++;
	meter->current->n[verdict]++;
}

void mspd_meter_took(struct mspd_meter *meter, enum mspd_meter_stage stage,
		     uint64_t us)
{
	struct mspd_histogram *h = &meter->stages[stage];
	unsigned int i = 0;

	while (i < MSPD_METER_BOUNDS && us > bounds[i])
		i++;
	h->bucket[i]++;
	h->sum_us += us;
}

uint64_t mspd_meter_bound(unsigned int bucket)
{
	return bucket < MSPD_METER_BOUNDS ? bounds[bucket] : UINT64_MAX;
}

/* ---- names ------------------------------------------------------------- */

const char *mspd_meter_endpoint_name(unsigned int endpoint)
{
	switch (endpoint) {
	case MSP_ENDPOINT_WIRESERVER:
		return "wireserver";
	case MSP_ENDPOINT_IMDS:
		return "imds";
	case MSP_ENDPOINT_HOSTGA:
		return "hostga";
	}
	return "none";
}

const char *mspd_meter_verdict_name(unsigned int verdict)
{
	static const char *const names[MSPD_METER_VERDICTS] = { "allow",
								"audit", "deny",
								"error" };

	return verdict < MSPD_METER_VERDICTS ? names[verdict] : "error";
}

const char *mspd_meter_reason_name(unsigned int reason)
{
	if (reason >= MSPD_METER_REFUSED)
		return "refused";
	return msp_reason_name((enum msp_reason)reason);
}

const char *mspd_meter_stage_name(unsigned int stage)
{
	static const char *const names[MSPD_METER_STAGES] = {
		"total", "record", "identity", "decision",
		"body",	 "sign",   "host",
	};

	return stage < MSPD_METER_STAGES ? names[stage] : "total";
}
