/* SPDX-License-Identifier: MIT */
/*
 * In: the directory of a store. Out: it is ours alone, or who has it. Must
 * never wait for the other, nor leave a lock behind when we crash.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "libmsp/info.h"
#include "libmsp/keystore_priv.h"

/* Anybody can make the list long, and it is only for a message. */
#define LINES_MAX 4096

/* A line of /proc/locks; a waiter has "->" in it and is not matched. */
static long holder_in(const char *line, const struct stat *st)
{
	char kind[16], mode[16];
	unsigned int high, low;
	unsigned long inode;
	long pid;

	if (sscanf(line, "%*d: %15s %*s %15s %ld %x:%x:%lu", kind, mode, &pid,
		   &high, &low, &inode) != 6)
		return 0;
	if (strcmp(kind, "FLOCK") != 0 || strcmp(mode, "WRITE") != 0)
		return 0;
	if (inode != st->st_ino || high != major(st->st_dev) ||
	    low != minor(st->st_dev))
		return 0;
	return pid;
}

/* 0: not known. Some file systems tell another device than stat() does, and
 * a holder in another pid namespace has no number in ours. */
static long find_holder(int dir)
{
	struct stat st;
	char line[256];
	FILE *locks;
	long pid = 0;
	int i;

	if (fstat(dir, &st) < 0)
		return 0;
	locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;
	for (i = 0; i < LINES_MAX && pid <= 0; i++) {
		if (!fgets(line, sizeof(line), locks))
			break;
		pid = holder_in(line, &st);
	}
	fclose(locks);
	return pid > 0 ? pid : 0;
}

/* The directory itself is locked: a file in it could not be made when the
 * disk is full or read-only, and the key that is there would not be used. */
static int lock(const struct msp_keystore *store, struct msp_error_info *info)
{
	char who[48] = "";
	long pid;

	if (flock(store->dir, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return msp_fail_sys(info, errno, "cannot lock '%s'",
				    store->path);
	pid = find_holder(store->dir);
	if (pid)
		snprintf(who, sizeof(who), ", process %ld", pid);
	return msp_fail(info, MSP_ERR_BUSY, "'%s' is in use by another agent%s",
			store->path, who);
}

int msp_keystore_lock(struct msp_keystore *store, struct msp_error_info *info)
{
	int rc = 0;

	if (!store)
		return msp_fail(info, MSP_ERR_INVAL, "no store");
	if (store->locker == getpid())
		return 0;
	/* a lock belongs to what was opened, which a fork shares: what the
	 * parent has open would let two have it */
	if (store->locker)
		rc = msp_keystore_reopen(store, info);
	if (rc == 0)
		rc = lock(store, info);
	if (rc < 0)
		return rc;
	/* what is left over takes up room, and does no other harm; which of the
	 * keys is in use only the host can say */
	(void)msp_keystore_sweep(store, MSP_KEYSTORE_CRASHED, NULL, NULL);
	store->locker = getpid();
	return 0;
}
