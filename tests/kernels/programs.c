/* SPDX-License-Identifier: MIT */
/*
 * In: a redirector. Out: whether a program that is not, or no longer, the
 * file at its path is taken for it. Must never pass only because nothing is
 * ever verified: the untouched program is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

#define VICTIM "/tmp/victim"
#define OTHER  "/tmp/other"

/* What is done to the program while it runs, before it connects. */
static int leave(void)
{
	return 0;
}

static int delete (void)
{
	return unlink(VICTIM);
}

static int replace(void)
{
	return rename(OTHER, VICTIM);
}

static int recreate(void)
{
	return unlink(VICTIM) < 0 ? -1 : copy_file(CLIENT, VICTIM);
}

static int touch(void)
{
	return chmod(VICTIM, 0711);
}

struct trick {
	const char *name;
	int (*play)(void);
	bool verified;
	bool replaced; /* with MSP_PEER_EXE_REPLACED */
	uint32_t links;
};

static const struct trick tricks[] = {
	{ "an untouched program", leave, true, true, 1 },
	{ "one whose mode was changed", touch, true, true, 1 },
	{ "a deleted program", delete, false, false, 0 },
	{ "a replaced program", replace, false, true, 0 },
	{ "a recreated program", recreate, false, true, 0 },
};

static bool verified(const struct msp_caller *caller)
{
	return caller->flags & MSP_CALLER_EXE_VERIFIED;
}

/* Lets one client go, and hears it; some of its facts may differ. */
static bool meet(struct world *w, struct child *child, struct peer *peer,
		 uint32_t but, uint32_t *differ)
{
	struct claim claim = { 0 };

	*differ = ~0u;
	let_go(child);
	if (!peer_take(w, peer) || !peer_hear(w, peer, &claim, differ))
		return false;
	*differ &= ~but;
	return *differ == 0;
}

static void play(struct world *w, const struct trick *trick)
{
	struct plan plan = plan_new(0, w->endpoints[0]);
	struct child child;
	struct peer peer;
	uint32_t differ;
	bool known;
	int rc;

	unlink(VICTIM);
	plan.program = VICTIM;
	if (copy_file(CLIENT, VICTIM) < 0 || copy_file(CLIENT, OTHER) < 0 ||
	    launch(&plan, &child) < 0 || trick->play() < 0) {
		check(false, "%s: cannot be set up", trick->name);
		return;
	}
	known = meet(w, &child, &peer, 0, &differ);
	check(known && peer.caller.exe.nlink == trick->links,
	      "%s is known, %u links (%#x)", trick->name, peer.caller.exe.nlink,
	      differ);
	check(verified(&peer.caller) == (trick->verified && w->paths),
	      "%s is%s verified", trick->name,
	      trick->verified && w->paths ? "" : " not");
	rc = msp_peer_verify_exe(w->redirect, w->root, &peer.caller,
				 MSP_PEER_EXE_REPLACED, NULL);
	check(rc == 0 &&
		      verified(&peer.caller) == (trick->replaced && w->paths),
	      "%s is%s verified where replaced ones are", trick->name,
	      trick->replaced && w->paths ? "" : " not");
	peer_dismiss(&peer, known);
	wait_for(&child);
}

static int memory_copy(void)
{
	int in = open(CLIENT, O_RDONLY | O_CLOEXEC);
	int out = memfd_create("client", MFD_CLOEXEC);

	if (in < 0 || out < 0)
		return -1;
	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	close(in);
	return out;
}

static void check_memory(struct world *w)
{
	struct plan plan = plan_new(0, w->endpoints[1]);
	struct child child;
	struct peer peer;
	uint32_t differ = ~0u;
	bool known = false;

	plan.program_fd = memory_copy();
	plan.uid = plan.euid = 1000;
	if (plan.program_fd >= 0 && launch(&plan, &child) == 0)
		known = meet(w, &child, &peer, 1u << FACT_EXE_PATH, &differ);
	check(known, "a program in memory is known (%#x)", differ);
	if (!known)
		return;
	check(peer.caller.exe.nlink == 0 && !verified(&peer.caller),
	      "and not verified (path \"%s\")", peer.caller.exe_path);
	peer_dismiss(&peer, true);
	wait_for(&child);
	close(plan.program_fd);
}

/* An unprivileged user puts a program of his own over an allowed path. In
 * his user namespace the ids he sees have other numbers. */
static void check_covered(struct world *w)
{
	const uint32_t ids = 1u << FACT_UID | 1u << FACT_GID | 1u << FACT_EUID |
			     1u << FACT_EGID | 1u << FACT_NS_OWNER |
			     1u << FACT_EXE_FILE;
	struct plan plan = plan_new(0, w->endpoints[2]);
	struct child child;
	struct peer peer;
	uint32_t differ = ~0u;
	bool known = false;

	plan.uid = plan.euid = 1000;
	plan.mount_over = OTHER;
	if (copy_file(CLIENT, OTHER) == 0 && launch(&plan, &child) == 0)
		known = meet(w, &child, &peer, ids, &differ);
	check(known, "a program mounted over another is known (%#x)", differ);
	if (!known)
		return;
	check(peer.caller.uid == 1000 && peer.caller.euid == 1000 &&
		      peer.caller.ns_owner == 1000,
	      "with its user's number");
	check(strcmp(peer.caller.exe_path, w->paths ? CLIENT : "") == 0,
	      "and the path of the other");
	check(!verified(&peer.caller), "and not verified");
	peer_dismiss(&peer, true);
	wait_for(&child);
}

void check_programs(struct world *w)
{
	size_t i;

	for (i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
		play(w, &tricks[i]);
	check_memory(w);
	check_covered(w);
}
