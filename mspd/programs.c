/* SPDX-License-Identifier: MIT */
/*
 * In: callers whose executable was verified. Out: whether the next one runs
 * the same file from the same place. Must never take one file for another, nor
 * remember anything but that a file was where it should be.
 */
#include "mspd/programs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERDICT                                                                \
	((uint32_t)(MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED |         \
		    MSP_CALLER_EXE_REPLACED))
/* What tells which file it was, and from where it was run. */
#define FLAGS                                                                  \
	((uint32_t)(MSP_CALLER_KNOWN | MSP_CALLER_KERNEL |                     \
		    MSP_CALLER_PATH_CUT | MSP_CALLER_NO_PATH |                 \
		    MSP_CALLER_EXE_ELSEWHERE))

struct program {
	uint64_t since_ms;
	uint64_t epoch;
	struct msp_file_id exe;
	uint32_t mnt_ns;
	uint32_t flags;
	unsigned int how;
	bool used;
	char path[MSP_CALLER_PATH_MAX];
};

struct mspd_programs {
	struct program all[MSPD_PROGRAMS];
};

int mspd_programs_new(struct mspd_programs **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void mspd_programs_free(struct mspd_programs *programs)
{
	free(programs);
}

/* Whoever runs programs that share a place only has them looked up. */
static size_t place_of(const struct msp_caller *caller)
{
	uint64_t hash = caller->exe.inode ^ (uint64_t)caller->exe.device << 32 ^
			caller->exe.ctime_ns;

	hash *= 0x9e3779b97f4a7c15u;
	return hash >> 32 & (MSPD_PROGRAMS - 1);
}
_Static_assert((MSPD_PROGRAMS & (MSPD_PROGRAMS - 1)) == 0, "a power of two");

static bool same_file(const struct msp_file_id *a, const struct msp_file_id *b)
{
	return a->inode == b->inode && a->device == b->device &&
	       a->generation == b->generation && a->ctime_s == b->ctime_s &&
	       a->ctime_ns == b->ctime_ns && a->nlink == b->nlink &&
	       a->mode == b->mode && a->uid == b->uid && a->gid == b->gid;
}

bool mspd_programs_verified(const struct mspd_programs *programs,
			    const struct msp_caller *caller, unsigned int how,
			    uint64_t epoch, struct msp_time now)
{
	const struct program *p = &programs->all[place_of(caller)];

	return p->used && p->epoch == epoch &&
	       now.boot_ms - p->since_ms < MSPD_PROGRAMS_KEPT_MS &&
	       same_file(&p->exe, &caller->exe) &&
	       p->mnt_ns == caller->mnt_ns && p->how == how &&
	       p->flags == (caller->flags & FLAGS) &&
	       strcmp(p->path, caller->exe_path) == 0;
}

/* At rest: a change from now on shows. A clock that was set back does not. */
static bool rests(const struct msp_file_id *exe, struct msp_time now)
{
	return exe->ctime_s <= now.wall_s - MSPD_PROGRAMS_REST_S;
}

void mspd_programs_put(struct mspd_programs *programs,
		       const struct msp_caller *caller, unsigned int how,
		       uint64_t epoch, struct msp_time now)
{
	struct program *p = &programs->all[place_of(caller)];

	if ((caller->flags & VERDICT) !=
		    (MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED) ||
	    !rests(&caller->exe, now))
		return;
	p->used = true;
	p->since_ms = now.boot_ms;
	p->epoch = epoch;
	p->exe = caller->exe;
	p->mnt_ns = caller->mnt_ns;
	p->flags = caller->flags & FLAGS;
	p->how = how;
	memcpy(p->path, caller->exe_path, sizeof(p->path));
}
