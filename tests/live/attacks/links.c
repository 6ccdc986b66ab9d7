/* SPDX-License-Identifier: MIT */
/*
 * In: the name of the allowed program. Out: another program, run by that
 * name. Must never run the allowed program by its own path but as a control.
 *
 * Variants: symlink (to the attacker's program), hardlink (of it; each second
 * try of the allowed program itself, which is allowed at its path only),
 * root (another root directory, where the path is the allowed program's).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20
#define ROUND	    100
#define PATH_SIZE   4096

static void join(char *out, const char *a, const char *b)
{
	if (snprintf(out, PATH_SIZE, "%s/%s", a, b) >= PATH_SIZE)
		attack_die("path");
}

/* The allowed program's name in another directory. */
static void name_in_dir(const struct attack *a, const char *dir, char *out)
{
	join(out, dir, strrchr(a->allowed, '/') + 1);
}

static void try_symlink(struct attack *a)
{
	char name[PATH_SIZE];

	name_in_dir(a, a->dir, name);
	if ((unlink(name) < 0 && errno != ENOENT) ||
	    symlink(a->client, name) < 0)
		attack_die(name);
	attack_try(a, attack_run(a, name));
}

static void try_hardlink(struct attack *a)
{
	char name[PATH_SIZE], own[PATH_SIZE];

	name_in_dir(a, a->dir, name);
	join(own, a->dir, "own");
	if ((unlink(name) < 0 && errno != ENOENT) || link(own, name) < 0)
		attack_die(name);
	attack_try(a, attack_run(a, name));
}

static void try_hardlink_of_allowed(struct attack *a)
{
	char dir[PATH_SIZE], name[PATH_SIZE];

	join(dir, a->dir, "theirs");
	name_in_dir(a, dir, name);
	attack_try(a, attack_run(a, name));
}

/* Where the attacker may not make them: the file he links to must be his, and
 * a link to root's file is for root to make. */
static void make_files(const struct attack *a)
{
	char own[PATH_SIZE], dir[PATH_SIZE], name[PATH_SIZE];

	join(own, a->dir, "own");
	attack_copy(a->client, own, ATTACK_NOBODY, 0755);
	join(dir, a->dir, "theirs");
	name_in_dir(a, dir, name);
	if (mkdir(dir, 0755) < 0 || link(a->allowed, name) < 0)
		attack_die(name);
}

/* ---- another root ------------------------------------------------------ */

/* mkdir -p of what is before the last slash */
static void make_parents(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			attack_die(path);
		*slash = '/';
	}
}

static void bind_system(const char *root)
{
	static const char *const dirs[] = { "/lib", "/lib64", "/usr" };
	char to[PATH_SIZE];
	struct stat st;
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (stat(dirs[i], &st) < 0)
			continue;
		join(to, root, dirs[i] + 1);
		if (mkdir(to, 0755) < 0 ||
		    mount(dirs[i], to, NULL, MS_BIND | MS_REC, NULL) < 0)
			attack_die(to);
	}
}

static void enter_root(const struct attack *a)
{
	char root[PATH_SIZE], file[PATH_SIZE];

	attack_own_mounts();
	join(root, a->dir, "root");
	if ((mkdir(root, 0755) < 0 && errno != EEXIST) ||
	    mount("none", root, "tmpfs", 0, "mode=755") < 0)
		attack_die(root);
	bind_system(root);
	join(file, root, a->allowed + 1);
	make_parents(file);
	attack_copy(a->client, file, getuid(), 0755);
	/* not chroot(): nothing of the old root is left above the new one */
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		attack_die("pivot_root");
}

static void try_root(struct attack *a)
{
	pid_t pid = attack_fork();
	int i;

	if (pid == 0) {
		enter_root(a);
		for (i = 0; i < ROUND && attack_more(a); i++)
			attack_try(a, attack_run(a, a->allowed));
		_exit(0);
	}
	for (i = 0; i < ROUND / HONEST_EACH; i++)
		attack_honest_program(a);
	if (attack_wait(pid) != 0)
		exit(1);
}

int main(int argc, char **argv)
{
	unsigned int number = 0;
	struct attack a;

	attack_open(&a, argc, argv);
	make_files(&a);
	attack_honest_start(&a, ATTACK_DAEMON);
	if (strcmp(a.variant, "root") != 0)
		attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	while (attack_more(&a)) {
		if (strcmp(a.variant, "root") == 0)
			try_root(&a);
		else if (strcmp(a.variant, "symlink") == 0)
			try_symlink(&a);
		else if (number & 1)
			try_hardlink_of_allowed(&a);
		else
			try_hardlink(&a);
		if (number++ % HONEST_EACH == 0)
			attack_honest_program(&a);
	}
	return attack_close(&a);
}
