/* SPDX-License-Identifier: MIT */
/*
 * In: callers with and without facts. Out: pass or fail. Must never need a
 * process but its own.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <msp/caller.h>

#include "tests/lib/guard.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
	uint32_t flags;
	uint32_t uid;
	uint32_t euid;
	bool elevated;
} elevated[] = {
	{ MSP_CALLER_KNOWN, 0, 0, true },
	{ MSP_CALLER_KNOWN | MSP_CALLER_V6_MAPPED, 0, 0, true },
	{ MSP_CALLER_KNOWN, 0, 1000, false },
	{ MSP_CALLER_KNOWN, 1000, 0, false },
	{ MSP_CALLER_KNOWN, 1000, 1000, false },
	{ MSP_CALLER_KNOWN | MSP_CALLER_KERNEL, 0, 0, false },
	{ 0, 0, 0, false },
	{ MSP_CALLER_NAMES | MSP_CALLER_EXE_VERIFIED, 0, 0, false },
};

START_TEST(caller_elevated_needs_a_known_process_with_both_uids_zero)
{
	struct msp_caller c = { .size = sizeof(c) };

	c.flags = elevated[_i].flags;
	c.uid = elevated[_i].uid;
	c.euid = elevated[_i].euid;
	/* groups play no part: gid 0 is not root (Q1) */
	c.gid = 0;
	c.egid = 0;
	ck_assert_int_eq(msp_caller_elevated(&c), elevated[_i].elevated);
}
END_TEST

START_TEST(caller_elevated_takes_gid_of_root_for_what_it_is)
{
	struct msp_caller c = { .size = sizeof(c),
				.flags = MSP_CALLER_KNOWN,
				.gid = 4321,
				.egid = 4321 };

	ck_assert(msp_caller_elevated(&c));
	ck_assert(!msp_caller_elevated(NULL));
}
END_TEST

static const struct {
	const char *path;
	const char *name;
} name[] = {
	{ "/usr/bin/curl", "curl" }, { "/init", "init" },
	{ "/a b/c d", "c d" },	     { "/usr/bin/", "" },
	{ "relative", "relative" },  { "", "" },
};

START_TEST(caller_process_name_is_the_last_component)
{
	struct msp_caller c = { .size = sizeof(c) };

	strcpy(c.exe_path, name[_i].path);
	ck_assert_str_eq(msp_caller_process_name(&c), name[_i].name);
	ck_assert_str_eq(msp_caller_process_name(NULL), "");
}
END_TEST

/* ---- cgroup paths ------------------------------------------------------ */

#define ID   "3f4e6b0c9a7d8e1f2a3b4c5d6e7f80910a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define ID2  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define POD  "pod0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9"
#define POD2 "pod0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
#define USER "/user.slice/user-1000.slice/"
#define U51  "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
#define U247 U51 U51 U51 U51 "1234567890123456789012345678901234567890123"

static const struct {
	const char *path;
	const char *unit;
	const char *container;
} unit[] = {
	/* systemd */
	{ "/system.slice/ssh.service", "ssh.service", NULL },
	{ "/system.slice/system-getty.slice/getty@tty1.service",
	  "getty@tty1.service", NULL },
	{ "/init.scope", "init.scope", NULL },
	{ "/system.slice/docker.socket", "docker.socket", NULL },
	{ "/system.slice/home-a\\x2db.mount", "home-a\\x2db.mount", NULL },
	{ "/system.slice/dev-sda2.swap", "dev-sda2.swap", NULL },
	{ USER "session-3.scope", "session-3.scope", NULL },
	{ USER "user@1000.service/app.slice/app-gnome\\x2dterminal-1.scope",
	  "user@1000.service", NULL },
	{ USER "user@1000.service/init.scope", "user@1000.service", NULL },
	{ "/azure.slice/walinuxagent.service", "walinuxagent.service", NULL },
	{ "/system.slice/_memory.service", "memory.service", NULL },
	{ "/_cpu.slice/__x.service", "_x.service", NULL },
	{ "/system.slice/ssh.service/", "ssh.service", NULL },
	{ "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/vcpu0",
	  "machine-qemu\\x2d1\\x2dvm.scope", NULL },
	{ "/machine.slice/systemd-nspawn@c1.service/payload/system.slice/"
	  "ssh.service",
	  "systemd-nspawn@c1.service", NULL },
	/* docker: driver systemd, driver cgroupfs, rootless, in docker */
	{ "/system.slice/docker-" ID ".scope", "docker-" ID ".scope", ID },
	{ "/docker/" ID, NULL, ID },
	{ "/docker/" ID "/system.slice/sshd.service", NULL, ID },
	{ USER "user@1000.service/user.slice/docker-" ID ".scope",
	  "user@1000.service", ID },
	{ "/system.slice/docker-" ID ".scope/docker/" ID2,
	  "docker-" ID ".scope", ID2 },
	{ "/docker/buildkit/" ID, NULL, ID },
	{ "/system.slice/nerdctl-" ID ".scope", "nerdctl-" ID ".scope", ID },
	/* kubernetes: containerd and CRI-O, both drivers */
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-" POD
	  ".slice/cri-containerd-" ID ".scope",
	  "cri-containerd-" ID ".scope", ID },
	{ "/kubepods.slice/kubepods-" POD ".slice/crio-" ID ".scope/container",
	  "crio-" ID ".scope", ID },
	{ "/kubepods.slice/kubepods-" POD ".slice/crio-conmon-" ID ".scope",
	  "crio-conmon-" ID ".scope", NULL },
	{ "/kubepods/besteffort/" POD2 "/" ID, NULL, ID },
	{ "/kubepods/besteffort/" POD2 "/crio-" ID, NULL, ID },
	{ "/system.slice/containerd.service/kubepods-burstable-" POD
	  ".slice:cri-containerd:" ID,
	  "containerd.service", ID },
	{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-" POD
	  ".slice/cri-containerd-" ID ".scope",
	  "cri-containerd-" ID ".scope", ID },
	/* podman: rootful, rootless, cgroupfs, split, conmon beside it */
	{ "/machine.slice/libpod-" ID ".scope/container", "libpod-" ID ".scope",
	  ID },
	{ USER "user@1000.service/user.slice/libpod-" ID ".scope/container",
	  "user@1000.service", ID },
	{ "/libpod_parent/libpod-" ID, NULL, ID },
	{ "/system.slice/web.service/libpod-payload-" ID, "web.service", ID },
	{ "/machine.slice/libpod-conmon-" ID ".scope",
	  "libpod-conmon-" ID ".scope", NULL },
	{ "/libpod_parent/conmon-" ID, NULL, NULL },
	/* LXC, WSL and others without units */
	{ "/lxc.payload.c1/system.slice/ssh.service", NULL, NULL },
	{ "/lxc/c1/init.scope", NULL, NULL },
	{ "/", NULL, NULL },
	{ "/actions_job/" ID, NULL, ID },
	{ "/ecs/0123456789abcdef/" ID, NULL, ID },
	{ "/system.slice", NULL, NULL },
	{ "/user.slice/user-1000.slice", NULL, NULL },

	/* what a user, or a container, calls its own directories */
	{ USER "user@1000.service/sshd.service", "user@1000.service", NULL },
	{ USER "user@1000.service/system.slice/sshd.service",
	  "user@1000.service", NULL },
	{ USER "session-3.scope/system.slice/sshd.service", "session-3.scope",
	  NULL },
	{ "/delegated/system.slice/sshd.service", NULL, NULL },
	{ "/sshd.service.d/sshd.service", NULL, NULL },
	{ USER "user@1000.service/docker-" ID ".scope", "user@1000.service",
	  ID },
	/* what no kernel and no systemd says */
	{ "", NULL, NULL },
	{ "system.slice/ssh.service", NULL, NULL },
	{ ID, NULL, NULL },
	{ "//system.slice/ssh.service", NULL, NULL },
	{ "/system.slice//ssh.service", NULL, NULL },
	{ "/system.slice/../ssh.service", NULL, NULL },
	{ "/../system.slice/ssh.service", NULL, NULL },
	{ "/./ssh.service", NULL, NULL },
	{ "/system.slice/a b.service", NULL, NULL },
	{ "/a b.slice/ssh.service", NULL, NULL },
	{ "/system.slice/a\nb.service", NULL, NULL },
	{ "/system.slice/\xc3\xa9.service", NULL, NULL },
	{ "/system.slice/.service", NULL, NULL },
	{ "/.slice/ssh.service", NULL, NULL },
	{ "/_/ssh.service", NULL, NULL },
	{ "/system.slice/@x.service", NULL, NULL },
	{ "/system.slice/ssh.serviceX", NULL, NULL },
	{ "/system.slice/service", NULL, NULL },
	{ "/system.slice/x.timer", NULL, NULL },
	{ "/system.slice/ssh.SERVICE", NULL, NULL },
	/* 255 bytes are the longest name, 64 digits are an id */
	{ "/system.slice/" U247 ".service", U247 ".service", NULL },
	{ "/system.slice/1" U247 ".service", NULL, NULL },
	{ "/1" U247 "2.slice/ssh.service", "ssh.service", NULL },
	{ "/1" U247 "23.slice/ssh.service", NULL, NULL },
	{ "/docker/0" ID, NULL, NULL },
	{ "/docker/" ID "0", NULL, NULL },
	{ "/docker/x" ID, NULL, NULL },
	{ "/docker/-" ID, NULL, ID },
	{ "/docker/" ID ".scope", NULL, ID },
	{ "/docker/" ID ".service", NULL, NULL },
	{ "/docker/" ID ".scope.scope", NULL, NULL },
	{ "/docker/F" U51 "123456789012", NULL, NULL },
	{ "/docker/conmon-" ID, NULL, NULL },
	{ "/docker/" ID "/", NULL, ID },
	{ "/docker/" ID "/x/" ID2 "/y", NULL, ID2 },
};

static void expect_part(const char *path, const char *got, size_t len,
			const char *want)
{
	if (!want) {
		ck_assert_msg(!got && !len, "%s: %.*s", path, (int)len, got);
		return;
	}
	ck_assert_msg(got && len == strlen(want) && !memcmp(got, want, len),
		      "%s: %.*s", path, (int)len, got ? got : "");
}

START_TEST(caller_unit_follows_the_table)
{
	const char *path = unit[_i].path;
	size_t mapped, len = strlen(path);
	char *text = guarded(path, len, &mapped);
	struct msp_unit u;

	memset(&u, 0xff, sizeof(u));
	msp_caller_unit(&u, text, len);
	expect_part(path, u.unit, u.unit_len, unit[_i].unit);
	expect_part(path, u.container, u.container_len, unit[_i].container);
	if (u.unit)
		ck_assert(u.unit >= text && u.unit + u.unit_len <= text + len);
	free_guarded(text, len, mapped);
}
END_TEST

START_TEST(caller_unit_of_no_path_is_none)
{
	struct msp_unit u;

	memset(&u, 0xff, sizeof(u));
	msp_caller_unit(&u, NULL, 5);
	ck_assert(!u.unit && !u.unit_len && !u.container && !u.container_len);
	msp_caller_unit(NULL, "/", 1);
	/* a NUL is a byte like others, and none of a unit's */
	msp_caller_unit(&u, "/system.slice/a\0b.service", 25);
	ck_assert_ptr_null(u.unit);
	msp_caller_unit(&u, "/x.service\0/y", 13);
	ck_assert_ptr_null(u.unit);
}
END_TEST

/* All that stands before it are slices, and it is a component as a whole. */
static bool below_slices(const char *path, size_t len, const struct msp_unit *u)
{
	const char *end = u->unit + u->unit_len;
	const char *p;

	if (end != path + len && *end != '/')
		return false;
	for (p = path + 1; p < u->unit; p++) {
		if (*p == '/' && memcmp(p - 6, ".slice", 6) != 0)
			return false;
	}
	return true;
}

START_TEST(caller_unit_is_below_slices_whatever_the_bytes)
{
	static const char *const piece[] = {
		"/",  "/", "/",	      "/", ".slice", ".service", ".scope", "a",
		"..", "@", "docker-", ID,  ":",	     "\\x2d",	 " ",	   "_"
	};
	struct msp_unit u;
	size_t len, mapped;
	char path[2048], *text;
	int i, k, found = 0;

	srand(7);
	for (i = 0; i < 20000; i++) {
		strcpy(path, "/");
		for (k = rand() % 12; k >= 0; k--)
			strcat(path, piece[rand() % COUNT(piece)]);
		len = strlen(path);
		text = guarded(path, len, &mapped);
		msp_caller_unit(&u, text, len);
		found += u.unit != NULL;
		ck_assert_msg(!u.unit || below_slices(text, len, &u), "%s",
			      path);
		free_guarded(text, len, mapped);
	}
	ck_assert_int_gt(found, 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("caller");
	TCase *t = tcase_create("facts");
	SRunner *runner = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(
		t, caller_elevated_needs_a_known_process_with_both_uids_zero, 0,
		COUNT(elevated));
	tcase_add_test(t, caller_elevated_takes_gid_of_root_for_what_it_is);
	tcase_add_loop_test(t, caller_process_name_is_the_last_component, 0,
			    COUNT(name));
	t = tcase_create("unit");
	suite_add_tcase(s, t);
	tcase_add_loop_test(t, caller_unit_follows_the_table, 0, COUNT(unit));
	tcase_add_test(t, caller_unit_of_no_path_is_none);
	tcase_add_test(t, caller_unit_is_below_slices_whatever_the_bytes);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
