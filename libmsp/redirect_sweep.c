/* SPDX-License-Identifier: MIT */
/*
 * In: endpoints. Out: connections to them that nobody redirected, counted or
 * reset. Must never touch a socket of our own, nor one of a process that is
 * not governed, nor reset one to an endpoint that is only to be counted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libmsp/cgroup.h"
#include "libmsp/diag.h"
#include "libmsp/info.h"
#include "libmsp/opts.h"
#include "libmsp/redirect_priv.h"

#define ROOT_CGROUP 1 /* number of the root of the whole tree */
#define PASSES	    4
/* Those that have ended, or have not begun. */
#define NO_CONNECTION                                                          \
	(MSP_DIAG_STATE(MSP_DIAG_TIME_WAIT) | MSP_DIAG_STATE(MSP_DIAG_CLOSE) | \
	 MSP_DIAG_STATE(MSP_DIAG_LISTEN))

/* An endpoint that is looked at. */
struct target {
	struct msp_address address;
	bool destroy;
	struct msp_redirect_swept *out;
	/* of this pass */
	uint32_t destroyed;
	uint32_t left;
};

struct sweep {
	const struct msp_redirect *redirect;
	struct target targets[MSP_ENDPOINTS];
	size_t n_targets;
	bool everywhere; /* attached at the root of the tree */
	int dump_fd;
	int destroy_fd;
	/* of the cgroup looked at last: most sockets have the same */
	uint64_t cgroup;
	bool governed;
	bool partial; /* of this pass */
};

/* The hooks see the socket's cgroup, so this looks at nothing else. Where
 * that cgroup was removed nobody can tell any more what it was below. */
static bool is_governed(struct sweep *s, uint64_t cgroup)
{
	const struct msp_redirect *r = s->redirect;
	char path[4096];

	if (s->everywhere)
		return true;
	if (!cgroup)
		return false;
	if (cgroup != s->cgroup) {
		s->governed = msp_cgroup_path(r->cgroup_fd, r->mount, cgroup,
					      path, sizeof(path), NULL) == 0 &&
			      msp_cgroup_inside(path, r->cgroup);
		s->cgroup = cgroup;
	}
	return s->governed;
}

static struct target *target_of(struct sweep *s,
				const struct msp_diag_socket *found)
{
	uint16_t port = ntohs(found->id.idiag_dport);
	struct target *t = s->targets;
	uint32_t ip;

	if (!msp_diag_ipv4(found, found->id.idiag_dst, &ip))
		return NULL;
	for (; t < s->targets + s->n_targets; t++)
		if (t->address.ip == ip && t->address.port == port)
			return t;
	return NULL;
}

/* Also what no process has open any more: its last bytes may still be on
 * their way to the host. In TIME_WAIT there are none. */
static int look_at(void *arg, const struct msp_diag_socket *found)
{
	struct sweep *s = arg;
	struct target *t = target_of(s, found);
	int err;

	if (!t || found->time_wait || found->marked ||
	    !is_governed(s, found->cgroup))
		return 0;
	if (!t->destroy) {
		t->left++;
		return 0;
	}
	err = msp_diag_destroy(s->destroy_fd, found);
	if (err == 0)
		t->destroyed++;
	else if (err != ENOENT && err != ESTALE) /* else gone by itself */
		t->left++;
	return 0;
}

static int one_pass(struct sweep *s, struct msp_error_info *info)
{
	struct msp_address remotes[MSP_ENDPOINTS];
	struct msp_diag_query query = {
		.family = AF_UNSPEC,
		.states = MSP_DIAG_ALL_STATES & ~NO_CONNECTION,
		.remotes = remotes,
		.n_remotes = s->n_targets,
		.mark_fd = s->redirect->own_fd,
	};
	size_t i;

	s->partial = false;
	for (i = 0; i < s->n_targets; i++) {
		s->targets[i].destroyed = 0;
		s->targets[i].left = 0;
		remotes[i] = s->targets[i].address;
	}
	return msp_diag_dump(s->dump_fd, &query, look_at, s, &s->partial, info);
}

/* How many were destroyed in this pass. */
static uint32_t take_pass(struct sweep *s)
{
	uint32_t destroyed = 0;
	struct target *t;

	for (t = s->targets; t < s->targets + s->n_targets; t++) {
		t->out->destroyed += t->destroyed;
		t->out->left = t->left;
		t->out->found = t->out->destroyed + t->left;
		destroyed += t->destroyed;
	}
	return destroyed;
}

/* The kernel goes on where it was by counting, so what is taken out of its
 * table in the middle of a dump hides others: until nothing is found. */
static int all_passes(struct sweep *s, struct msp_error_info *info)
{
	int i, rc;

	for (i = 0; i < PASSES; i++) {
		rc = one_pass(s, info);
		if (rc < 0)
			return rc;
		if (!take_pass(s) && !s->partial)
			break;
	}
	return 0;
}

static bool at_root(const struct msp_redirect *r)
{
	struct stat st;

	return fstat(r->cgroup_fd, &st) == 0 && st.st_ino == ROOT_CGROUP;
}

static int sweep(struct sweep *s, struct msp_error_info *info)
{
	int rc = 0;

	s->everywhere = at_root(s->redirect);
	s->dump_fd = msp_diag_open(info);
	if (s->dump_fd < 0)
		return s->dump_fd;
	s->destroy_fd = msp_diag_open(info);
	if (s->destroy_fd < 0)
		rc = s->destroy_fd;
	if (rc == 0)
		rc = all_passes(s, info);
	if (s->destroy_fd >= 0)
		close(s->destroy_fd);
	close(s->dump_fd);
	return rc;
}

static void add_target(struct sweep *s, size_t endpoint, unsigned int flags,
		       struct msp_redirect_swept *out)
{
	s->targets[s->n_targets++] = (struct target){
		.address = s->redirect->endpoints[endpoint],
		.destroy = flags & MSP_SWEEP_DESTROY,
		.out = out,
	};
}

static void clear_all(struct msp_redirect_swept *const *out, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (out[i])
			msp_out_clear(out[i], sizeof(*out[i]));
}

static bool sizes_ok(struct msp_redirect_swept *const *out, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (out[i] && !msp_out_ok(out[i]->size, sizeof(*out[i])))
			return false;
	return true;
}

int msp_redirect_sweep_all(const struct msp_redirect *redirect,
			   const unsigned int *flags,
			   struct msp_redirect_swept *const *out, size_t count,
			   struct msp_error_info *info)
{
	struct sweep s = { .redirect = redirect };
	size_t i;
	int rc;

	if (!out || count > MSP_ENDPOINTS || !sizes_ok(out, count))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	clear_all(out, count);
	if (!redirect || !flags)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	for (i = 0; i < count; i++) {
		if (!out[i])
			continue;
		if (flags[i] & ~(unsigned int)MSP_SWEEP_DESTROY)
			return msp_fail(info, MSP_ERR_INVAL,
					"invalid argument");
		add_target(&s, i, flags[i], out[i]);
	}
	if (!s.n_targets)
		return 0;
	rc = sweep(&s, info);
	if (rc < 0)
		clear_all(out, count);
	return rc;
}

int msp_redirect_sweep(const struct msp_redirect *redirect,
		       enum msp_endpoint endpoint, unsigned int flags,
		       struct msp_redirect_swept *out,
		       struct msp_error_info *info)
{
	struct msp_redirect_swept *outs[MSP_ENDPOINTS] = { NULL };
	unsigned int all_flags[MSP_ENDPOINTS] = { 0 };

	if (!out || !msp_out_ok(out->size, sizeof(*out)))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	msp_out_clear(out, sizeof(*out));
	if ((unsigned int)endpoint >= MSP_ENDPOINTS)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	outs[endpoint] = out;
	all_flags[endpoint] = flags;
	return msp_redirect_sweep_all(redirect, all_flags, outs, MSP_ENDPOINTS,
				      info);
}
