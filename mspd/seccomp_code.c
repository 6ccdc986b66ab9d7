/* SPDX-License-Identifier: MIT */
/*
 * In: a table of system calls. Out: classic BPF that finds a call in it by
 * halves. Must never allow one that is not in it.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>

#include "mspd/seccomp.h"

#define LOAD (BPF_LD | BPF_W | BPF_ABS)

struct code {
	struct sock_filter *at;
	size_t n;
	uint32_t forbid;
	bool full;
};

static void put(struct code *c, uint16_t op, uint8_t yes, uint8_t no,
		uint32_t k)
{
	if (c->n == MSPD_SECCOMP_CODE) {
		c->full = true;
		return;
	}
	c->at[c->n++] =
		(struct sock_filter){ .code = op, .jt = yes, .jf = no, .k = k };
}

static void put_verdict(struct code *c, enum mspd_verdict verdict)
{
	uint32_t value = c->forbid;

	if (verdict == MSPD_CALL_ALLOW)
		value = SECCOMP_RET_ALLOW;
	else if (verdict == MSPD_CALL_ABSENT)
		value = SECCOMP_RET_ERRNO | ENOSYS;
	else if (verdict == MSPD_CALL_REFUSE && value == SECCOMP_RET_TRAP)
		value = SECCOMP_RET_ERRNO | EPERM;
	put(c, BPF_RET | BPF_K, 0, 0, value);
}

/* Arguments have 64 bits each, their halves in the order of the processor. */
static uint32_t offset_of(const struct mspd_call_test *test)
{
	bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	uint32_t at = offsetof(struct seccomp_data, args) + 8u * test->arg;

	return at + ((test->upper != 0) != big ? 4 : 0);
}

static void put_tests(struct code *c, const struct mspd_syscall *call)
{
	const struct mspd_call_test *test = call->tests;
	uint32_t i;

	for (i = 0; i < call->n_tests; i++, test++) {
		put(c, LOAD, 0, 0, offset_of(test));
		if (test->mask != UINT32_MAX)
			put(c, BPF_ALU | BPF_AND | BPF_K, 0, 0, test->mask);
		put(c, BPF_JMP | BPF_JEQ | BPF_K, test->unequal ? 1 : 0,
		    test->unequal ? 0 : 1, test->value);
		put_verdict(c, (enum mspd_verdict)test->then);
	}
	put_verdict(c, call->otherwise);
}

/* The lower half follows; a short jump would not reach over it. */
static void put_calls(struct code *c, const struct mspd_syscall *const *calls,
		      size_t n)
{
	size_t half = n / 2;
	size_t jump;

	if (n == 1) {
		put(c, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, calls[0]->number);
		put_verdict(c, MSPD_CALL_FORBID);
		put_tests(c, calls[0]);
		return;
	}
	put(c, BPF_JMP | BPF_JGE | BPF_K, 0, 1, calls[half]->number);
	jump = c->n;
	put(c, BPF_JMP | BPF_JA, 0, 0, 0);
	put_calls(c, calls, half);
	if (!c->full)
		c->at[jump].k = (uint32_t)(c->n - jump - 1);
	put_calls(c, calls + half, n - half);
}

static int by_number(const void *a, const void *b)
{
	const struct mspd_syscall *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

size_t mspd_seccomp_code(struct sock_filter *out, uint32_t arch,
			 const struct mspd_syscall *calls, size_t n,
			 uint32_t forbid)
{
	const struct mspd_syscall *sorted[MSPD_SECCOMP_CALLS];
	struct code c = { .at = out, .forbid = forbid };
	size_t i;

	if (!n || n > MSPD_SECCOMP_CALLS)
		return 0;
	for (i = 0; i < n; i++)
		sorted[i] = &calls[i];
	qsort(sorted, n, sizeof(sorted[0]), by_number);
	/* numbers mean something else there: nobody calls that by chance */
	put(&c, LOAD, 0, 0, offsetof(struct seccomp_data, arch));
	put(&c, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, arch);
	put(&c, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	/* x32 has numbers of its own, larger than all: none is in a table */
	put(&c, LOAD, 0, 0, offsetof(struct seccomp_data, nr));
	put_calls(&c, sorted, n);
	return c.full ? 0 : c.n;
}
