/* SPDX-License-Identifier: MIT */
/*
 * In: requests that ran into a limit. Out: a line about them now and then. Must
 * never let whoever floods fill the log.
 */
#include "mspd/limits.h"

#include "mspd/fair.h"
#include "mspd/log.h"

#define SAY_MS 1000

static const char *text_of(enum mspd_limit which)
{
	switch (which) {
	case MSPD_LIMIT_RATE:
		return "more requests than requestsPerSecondPerUser";
	case MSPD_LIMIT_HEAD:
		return "a request's head is larger than it may be";
	case MSPD_LIMIT_HEAD_TIME:
		return "a request's head is not there in "
		       "requestHeaderTimeoutInSeconds";
	case MSPD_LIMIT_BODY_TIME:
		return "a request's body is slower than minBodyBytesPerSecond";
	case MSPD_LIMIT_TOTAL_TIME:
		return "a request takes longer than totalTimeoutInSeconds";
	}
	return "";
}

static const char *kind_text(uint64_t owner)
{
	switch (mspd_fair_kind(owner)) {
	case MSPD_FAIR_USER:
		break;
	case MSPD_FAIR_NESTED:
		return " in another user namespace";
	case MSPD_FAIR_UNKNOWN:
		return " (unknown callers)";
	}
	return "";
}

void mspd_limits_hit(struct mspd_limits *limits, enum mspd_limit which,
		     uint64_t owner, uint64_t now_ms)
{
	uint64_t late = ++limits->of[which].hits - limits->of[which].said;

	if (now_ms < limits->of[which].say_at)
		return;
	limits->of[which].say_at = now_ms + SAY_MS;
	limits->of[which].said = limits->of[which].hits;
	mspd_log(MSPD_WARN, "%s, uid %u%s; %llu of late", text_of(which),
		 (unsigned int)owner, kind_text(owner),
		 (unsigned long long)late);
}
