/* SPDX-License-Identifier: MIT */
/*
 * seccomp.h - the system calls that are left to a started agent.
 */
#ifndef MSPD_SECCOMP_H
#define MSPD_SECCOMP_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

enum mspd_seccomp {
	MSPD_SECCOMP_ENFORCE = 0, /* others fail with EPERM, and are counted */
	MSPD_SECCOMP_KILL = 1,	  /* others end the process */
	MSPD_SECCOMP_OFF = 2
};

/**
 * mspd_seccomp_enter - let the kernel refuse what is not in the table
 * @mode: enum mspd_seccomp
 *
 * For good, for every thread, and for whatever one of them would execute; after
 * mspd_privilege_drop(). Threads that are started later must not block SIGSYS.
 * Returns 0 or -errno; -ENOTSUP: not on this kind of processor.
 */
int mspd_seccomp_enter(uint32_t mode);

/* Calls refused so far by MSPD_SECCOMP_ENFORCE. Threads: any. */
uint64_t mspd_seccomp_forbidden(void);

/* Number of the call that was refused last, -1: none was. Threads: any. */
int mspd_seccomp_last(void);

/* If more were refused since it was last called: how many so far, and which
 * was the last, for the log. One thread only. */
void mspd_seccomp_report(void);

/* ---- seccomp_table.c: what is allowed ---------------------------------- */

enum mspd_verdict {
	MSPD_CALL_FORBID = 0,
	MSPD_CALL_ALLOW = 1,
	MSPD_CALL_ABSENT = 2, /* ENOSYS: the caller knows another way */
	/* EPERM, and not counted: whoever makes it blocks all signals, and the
	 * kernel would end the process */
	MSPD_CALL_REFUSE = 3
};

/**
 * struct mspd_call_test - one look at an argument
 * @arg:   which, from 0
 * @upper: its upper half, not its lower
 * @unequal: it is tested for being something else
 * @then:  enum mspd_verdict, if it is so; else the next test is made
 * @mask:  bits that are looked at
 * @value: what they must be
 */
struct mspd_call_test {
	uint8_t arg;
	uint8_t upper;
	uint8_t unequal;
	uint8_t then;
	uint32_t mask;
	uint32_t value;
};

/**
 * struct mspd_syscall - a call that is allowed, or under conditions
 * @number:    of the call
 * @n_tests:   0: @otherwise, whatever its arguments are
 * @tests:     made in this order; borrowed
 * @otherwise: enum mspd_verdict after the last one
 */
struct mspd_syscall {
	uint32_t number;
	uint32_t n_tests;
	const struct mspd_call_test *tests;
	enum mspd_verdict otherwise;
};

/* Those of this kind of processor, in no order, each once. */
extern const struct mspd_syscall mspd_syscalls[];
extern const size_t mspd_n_syscalls;

/* ---- seccomp_code.c: the same for the kernel --------------------------- */

/** Most calls in a table. */
#define MSPD_SECCOMP_CALLS 256
/** Room for any table that the kernel would take. */
#define MSPD_SECCOMP_CODE 4096

/**
 * mspd_seccomp_code - a filter of a table
 * @out:     room for MSPD_SECCOMP_CODE
 * @arch:    AUDIT_ARCH_...; calls of another one end the process
 * @calls:   the table
 * @n:       its length, at most MSPD_SECCOMP_CALLS
 * @forbid:  SECCOMP_RET_... for what is not allowed
 *
 * Returns the length; 0: there are too many. Pure.
 */
size_t mspd_seccomp_code(struct sock_filter *out, uint32_t arch,
			 const struct mspd_syscall *calls, size_t n,
			 uint32_t forbid);

#endif
