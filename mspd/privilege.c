/* SPDX-License-Identifier: MIT */
/*
 * In: the capabilities a process was started with. Out: those that its work
 * takes. Must never leave one behind that could be had back.
 */
#include "mspd/privilege.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers of older systems do not have them; kernels that we run on do. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define PRIVILEGED_PORTS 1024
#define BIT(cap)	 (UINT64_C(1) << (cap))
/* In three pieces: programs are loaded, attached, and read kernel memory. */
#define PROGRAMS (BIT(CAP_BPF) | BIT(CAP_NET_ADMIN) | BIT(CAP_PERFMON))
/* Executables of others, whatever directories they are in. */
#define CALLERS (BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH))
/* Whoever is root gets no capability for it, and cannot keep or pass on one. */
#define SECUREBITS                                                             \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |       \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |             \
	 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

uint64_t mspd_privilege_needed(const struct msp_address *listener)
{
	uint64_t needed = PROGRAMS | CALLERS;

	if (listener->port < PRIVILEGED_PORTS)
		needed |= BIT(CAP_NET_BIND_SERVICE);
	return needed;
}

/* Under a service manager that leaves no CAP_SETPCAP, the set is as it made
 * it. */
static int drop_bounding(uint64_t needed)
{
	int cap, is;

	for (cap = 0; (is = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (is && !(needed & BIT(cap)) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/* Only what differs is written: a service manager's filter may refuse the call
 * even if it would change nothing. */
static int drop_capabilities(uint64_t needed)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct now[2], then[2];
	int i;

	if (syscall(SYS_capget, &head, now) < 0)
		return -errno;
	for (i = 0; i < 2; i++) {
		then[i].permitted =
			now[i].permitted & (uint32_t)(needed >> (32 * i));
		then[i].effective = then[i].permitted;
		then[i].inheritable = 0;
	}
	if (memcmp(now, then, sizeof(now)) == 0)
		return 0;
	return syscall(SYS_capset, &head, then) < 0 ? -errno : 0;
}

static int first(int rc, int more)
{
	return rc ? rc : more;
}

int mspd_privilege_drop(const struct msp_address *listener)
{
	uint64_t needed = mspd_privilege_needed(listener);
	int rc = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		rc = first(rc, -errno);
	if (prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0) == 1) {
		if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
			rc = first(rc, -errno);
		rc = first(rc, drop_bounding(needed));
	}
	return first(rc, drop_capabilities(needed));
}
