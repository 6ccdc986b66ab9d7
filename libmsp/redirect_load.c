/* SPDX-License-Identifier: MIT */
/*
 * In: the eBPF object, and what it is to be loaded with. Out: its programs in
 * the kernel, or which of them was refused and why. Must never name another
 * one, nor leave one loaded that is not used.
 */
#include "libmsp/redirect_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <zlib.h>

#include "bpf/msp.packed.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/redirect_types.h"
#include "libmsp/verifier.h"

#define VERIFIER_LOG (256 * 1024)
#define NO_OUTPUT    "none"

/* In the order they are asked about; the first is the one that a machine
 * without eBPF is known by. */
static const char *const names[] = {
	"connect4",	"connect6", "bind4", "bind6", "getpeername4",
	"getpeername6", "who",	    "stat",  "self",
};
#define PROGRAMS (sizeof(names) / sizeof(names[0]))

/* Of `which` below; else the number of a program. */
#define ALL  (-1)
#define NONE (-2)

static struct bpf_program *program_of(struct msp_bpf *skel, size_t i)
{
	struct bpf_program *const programs[PROGRAMS] = {
		skel->progs.msp_connect4, skel->progs.msp_connect6,
		skel->progs.msp_bind4,	  skel->progs.msp_bind6,
		skel->progs.msp_getpeer4, skel->progs.msp_getpeer6,
		skel->progs.msp_who,	  skel->progs.msp_stat,
		skel->progs.msp_self,
	};

	return programs[i];
}

const char *msp_redirect_hook(const struct msp_redirect *r, size_t i,
			      struct bpf_program **program)
{
	*program = program_of(r->skel, i);
	return names[i];
}

/* libbpf's messages go to one hook per process. What it prints while we load
 * is already in our error text, so be silent; then restore the owner's. */
static int silent(enum libbpf_print_level level, const char *format,
		  va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

libbpf_print_fn_t msp_redirect_hush(void)
{
	return libbpf_set_print(silent);
}

/* Exactly one of those under way has the owner's hook: the one that did not
 * find ours. The others leave it to that one. */
void msp_redirect_unhush(libbpf_print_fn_t before)
{
	libbpf_print_fn_t found;

	if (before == silent)
		return;
	found = libbpf_set_print(before);
	if (found != silent) /* the owner's latest wish */
		libbpf_set_print(found);
}

static void set_constants(struct msp_redirect *r, struct msp_bpf_config config)
{
	/* The skeleton maps the constants writable until load, though the
	 * program side declares them const volatile. */
	config.walk = !(r->limits & MSP_REDIRECT_LIMIT_NO_PATH);
	memcpy((void *)&r->skel->rodata->msp_config, &config, sizeof(config));
}

/* Without the part that does nothing but read kernel memory, if need be. */
static void choose_programs(struct msp_redirect *r, int which)
{
	bool paths = !(r->limits & MSP_REDIRECT_LIMIT_NO_PATH);
	bool wanted;
	size_t i;

	for (i = 0; i < PROGRAMS; i++) {
		wanted = which == ALL || which == (int)i;
		if (program_of(r->skel, i) == r->skel->progs.msp_stat)
			wanted = wanted && paths;
		bpf_program__set_autoload(program_of(r->skel, i), wanted);
	}
}

/* The object, NULL without memory. It lies packed in every program that has
 * the library, of which few redirect. */
static void *unpack(void)
{
	z_stream z = { .next_in = (z_const Bytef *)msp_object,
		       .avail_in = sizeof(msp_object),
		       .avail_out = msp_object_size };
	void *object = msp_mem_alloc(msp_object_size);
	int rc;

	if (!object || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
		msp_mem_free(object);
		return NULL;
	}
	z.next_out = object;
	rc = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	if (rc == Z_STREAM_END && !z.avail_out)
		return object;
	msp_mem_free(object);
	return NULL;
}

/* As msp_bpf__open_opts(), which has no object. errno if it returns NULL. */
static struct msp_bpf *open_skeleton(struct bpf_object_open_opts *opts)
{
	struct msp_bpf *skel = calloc(1, sizeof(*skel));
	void *object = unpack();
	int err = -ENOMEM;

	if (skel && object)
		err = msp_bpf__create_skeleton(skel);
	if (err == 0) {
		skel->skeleton->data = object;
		skel->skeleton->data_sz = msp_object_size;
		err = bpf_object__open_skeleton(skel->skeleton, opts);
		/* nothing of it is looked at any more */
		skel->skeleton->data = NULL;
		skel->skeleton->data_sz = 0;
	}
	msp_mem_free(object);
	if (err == 0)
		return skel;
	msp_bpf__destroy(skel);
	/* freed, in a header that is not analyzed
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	errno = -err;
	return NULL;
}

/* 0 or -errno; log says what the verifier did. The kernel's types are in file
 * `types`, NULL: where they always are. */
static int load_some(struct msp_redirect *r,
		     const struct msp_bpf_config *config, int which,
		     const char *types, char *log)
{
	struct bpf_object_open_opts opts = { .sz = sizeof(opts) };
	int rc;

	opts.btf_custom_path = types;
	opts.kernel_log_buf = log;
	opts.kernel_log_size = VERIFIER_LOG;
	log[0] = '\0';
	msp_bpf__destroy(r->skel);
	r->skel = open_skeleton(&opts);
	if (!r->skel)
		return -errno;
	set_constants(r, *config);
	choose_programs(r, which);
	rc = msp_redirect_take_maps(r);
	if (rc < 0)
		return rc;
	return msp_bpf__load(r->skel);
}

/* What is said of types that were chosen for us is not about the kernel: where
 * this fails, the whole of them is read next. */
static int load_quickly(struct msp_redirect *r,
			const struct msp_bpf_config *config, char *log)
{
	struct bpf_object_open_opts opts = { .sz = sizeof(opts) };
	struct msp_bpf *named = open_skeleton(&opts);
	char path[32];
	int fd, rc;

	if (!named)
		return -errno;
	fd = msp_redirect_types_file(bpf_object__btf(named->obj));
	msp_bpf__destroy(named);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = load_some(r, config, ALL, path, log);
	close(fd);
	return rc;
}

/* ---- which one, and why ------------------------------------------------ */

/* Kernels that know neither of these lack what both are for. */
static bool can_load_any(void)
{
	return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SOCKET_FILTER, NULL) ==
	       1;
}

static int refused(const char *name, int err, char *log,
		   const struct msp_redirect_opts *opts,
		   struct msp_error_info *info)
{
	static const char format[] =
		"Failed to load program '%s' with error: the BPF_PROG_LOAD "
		"syscall failed. Verifier output: %s";
	char output[160] = NO_OUTPUT;
	size_t n;
	int rc;

	msp_verifier_trim(log);
	if (log[0])
		msp_verifier_last(output, sizeof(output), log);
	rc = msp_fail_sys(info, err, format, name, output);
	if (!opts || !opts->detail || !log[0])
		return rc;
	snprintf(opts->detail, opts->detail_size, format, name, "");
	n = strlen(opts->detail);
	msp_verifier_tail(opts->detail + n, opts->detail_size - n, log);
	return rc;
}

/* The kernel was not asked yet, so that it has refused nothing. */
static int not_opened(int err, struct msp_error_info *info)
{
	if (err == ENOMEM)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	return msp_fail_sys(info, err, "Loading eBPF API failed with error");
}

/* libbpf keeps to itself where it stopped, so ask for one at a time. The
 * object is unloaded in the end. */
static int explain(struct msp_redirect *r, const struct msp_bpf_config *config,
		   int err, char *log, const struct msp_redirect_opts *opts,
		   struct msp_error_info *info)
{
	size_t i;
	int rc;

	rc = load_some(r, config, NONE, NULL, log);
	if (!r->skel)
		return not_opened(-rc, info);
	if (rc < 0 && can_load_any())
		return msp_fail_sys(info, -rc,
				    "Loading eBPF API failed with error: the "
				    "maps cannot be made");
	for (i = 0; i < PROGRAMS; i++) {
		rc = load_some(r, config, (int)i, NULL, log);
		if (!r->skel)
			return not_opened(-rc, info);
		if (rc < 0)
			return refused(names[i], -rc, log, opts, info);
	}
	/* it passed or changed meanwhile, or there is no room for all */
	return msp_fail_sys(info, err, "Loading eBPF API failed with error");
}

/* Under lockdown=confidentiality the kernel refuses programs that read its
 * memory. Its words for that vary, so try what is left; should that fail as
 * well, it was something else, and the first error tells. */
static int load_most(struct msp_redirect *r,
		     const struct msp_bpf_config *config, char *log,
		     const struct msp_redirect_opts *opts,
		     struct msp_error_info *info)
{
	int rc, less;

	rc = load_quickly(r, config, log);
	if (rc == 0)
		return 0;
	if (rc == -ENOMEM && !r->skel)
		return not_opened(ENOMEM, info);
	rc = less = load_some(r, config, ALL, NULL, log);
	if (rc < 0 && r->skel && !(r->limits & MSP_REDIRECT_LIMIT_NO_PATH)) {
		r->limits |= MSP_REDIRECT_LIMIT_NO_PATH;
		less = load_some(r, config, ALL, NULL, log);
		if (less < 0)
			r->limits &= ~(unsigned int)MSP_REDIRECT_LIMIT_NO_PATH;
	}
	if (less == 0)
		return 0;
	if (!r->skel)
		return not_opened(-less, info);
	return explain(r, config, -rc, log, opts, info);
}

int msp_redirect_load(struct msp_redirect *r,
		      const struct msp_bpf_config *config,
		      const struct msp_redirect_opts *opts,
		      struct msp_error_info *info)
{
	char *log = msp_mem_zalloc(VERIFIER_LOG);
	libbpf_print_fn_t before;
	int rc;

	if (!log)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	before = msp_redirect_hush();
	rc = load_most(r, config, log, opts, info);
	msp_redirect_unhush(before);
	msp_mem_free(log);
	if (rc < 0)
		return rc;
	r->states = &r->skel->data_states->msp_states;
	r->runtime = &r->skel->bss->msp_runtime;
	r->stat_result = &r->skel->bss->msp_stat_result;
	r->self_result = &r->skel->bss->msp_self_result;
	r->self_fd = bpf_program__fd(r->skel->progs.msp_self);
	r->who_fd = bpf_program__fd(r->skel->progs.msp_who);
	r->stat_fd = bpf_program__fd(r->skel->progs.msp_stat);
	r->own_fd = bpf_map__fd(r->skel->maps.msp_own);
	r->counters_fd = bpf_map__fd(r->skel->maps.msp_counters);
	return 0;
}

void msp_redirect_unload(struct msp_redirect *r)
{
	msp_bpf__destroy(r->skel);
	r->skel = NULL;
}
