/* SPDX-License-Identifier: MIT */
/*
 * In:  faults as they were asked for, requests.
 * Out: which request meets which.
 * Never: grows without bound.
 */
#include "fault/fault.h"

#include <stdlib.h>

struct faults {
	size_t n;
};

struct faults *faults_new(void)
{
	return calloc(1, sizeof(struct faults));
}

void faults_free(struct faults *faults)
{
	free(faults);
}

int64_t faults_skew(const struct faults *faults, const struct call *call)
{
	(void)faults;
	(void)call;
	return 0;
}

const struct fault *faults_meet(struct faults *faults, const struct call *call)
{
	(void)faults;
	(void)call;
	return NULL;
}

const char *fault_name(const struct fault *fault)
{
	(void)fault;
	return "";
}

bool fault_before(const struct fault *fault, struct call *call)
{
	(void)fault;
	(void)call;
	return false;
}

void fault_after(const struct fault *fault, struct call *call)
{
	(void)fault;
	(void)call;
}
