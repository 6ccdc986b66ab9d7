/* SPDX-License-Identifier: MIT */
/*
 * In: an endpoint. Out: connections to it that nobody redirected, counted or
 * reset. Must never touch a socket of our own, nor one of a process that is
 * not governed.
 */
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

struct sweep {
	const struct msp_redirect *redirect;
	struct msp_address endpoint;
	bool everywhere; /* attached at the root of the tree */
	bool destroy;
	int dump_fd;
	int destroy_fd;
	/* of the cgroup looked at last: most sockets have the same */
	uint64_t cgroup;
	bool governed;
	/* of this pass */
	bool partial;
	uint32_t destroyed;
	uint32_t left;
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

/* Also what no process has open any more: its last bytes may still be on
 * their way to the host. In TIME_WAIT there are none. */
static bool is_bypass(struct sweep *s, const struct msp_diag_socket *found)
{
	uint32_t ip;

	return !found->time_wait && !found->marked &&
	       msp_diag_ipv4(found, found->id.idiag_dst, &ip) &&
	       ip == s->endpoint.ip && is_governed(s, found->cgroup);
}

static int look_at(void *arg, const struct msp_diag_socket *found)
{
	struct sweep *s = arg;
	int err;

	if (!is_bypass(s, found))
		return 0;
	if (!s->destroy) {
		s->left++;
		return 0;
	}
	err = msp_diag_destroy(s->destroy_fd, found);
	if (err == 0)
		s->destroyed++;
	else if (err != ENOENT && err != ESTALE) /* else gone by itself */
		s->left++;
	return 0;
}

static int dump(struct sweep *s, int family, struct msp_error_info *info)
{
	struct msp_diag_query query = {
		.family = family,
		.states = MSP_DIAG_ALL_STATES & ~NO_CONNECTION,
		.remote = s->endpoint.ip,
		.remote_port = s->endpoint.port,
		.mark_fd = s->redirect->own_fd,
	};

	return msp_diag_dump(s->dump_fd, &query, look_at, s, &s->partial, info);
}

static int one_pass(struct sweep *s, struct msp_error_info *info)
{
	s->partial = false;
	s->destroyed = 0;
	s->left = 0;
	return dump(s, AF_UNSPEC, info);
}

/* The kernel goes on where it was by counting, so what is taken out of its
 * table in the middle of a dump hides others: until nothing is found. */
static int all_passes(struct sweep *s, struct msp_redirect_swept *out,
		      struct msp_error_info *info)
{
	int i, rc;

	for (i = 0; i < PASSES; i++) {
		rc = one_pass(s, info);
		if (rc < 0)
			return rc;
		out->destroyed += s->destroyed;
		if (!s->destroyed && !s->partial)
			break;
	}
	out->left = s->left;
	out->found = out->destroyed + out->left;
	return 0;
}

static bool at_root(const struct msp_redirect *r)
{
	struct stat st;

	return fstat(r->cgroup_fd, &st) == 0 && st.st_ino == ROOT_CGROUP;
}

static int sweep(const struct msp_redirect *r, enum msp_endpoint endpoint,
		 unsigned int flags, struct msp_redirect_swept *out,
		 struct msp_error_info *info)
{
	struct sweep s = { .redirect = r,
			   .endpoint = r->endpoints[endpoint],
			   .everywhere = at_root(r),
			   .destroy = flags & MSP_SWEEP_DESTROY };
	int rc = 0;

	s.dump_fd = msp_diag_open(info);
	if (s.dump_fd < 0)
		return s.dump_fd;
	s.destroy_fd = msp_diag_open(info);
	if (s.destroy_fd < 0)
		rc = s.destroy_fd;
	if (rc == 0)
		rc = all_passes(&s, out, info);
	if (s.destroy_fd >= 0)
		close(s.destroy_fd);
	close(s.dump_fd);
	return rc;
}

int msp_redirect_sweep(const struct msp_redirect *redirect,
		       enum msp_endpoint endpoint, unsigned int flags,
		       struct msp_redirect_swept *out,
		       struct msp_error_info *info)
{
	int rc;

	if (!out || !msp_out_ok(out->size, sizeof(*out)))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	msp_out_clear(out, sizeof(*out));
	if (!redirect || (unsigned int)endpoint >= MSP_ENDPOINTS ||
	    flags & ~(unsigned int)MSP_SWEEP_DESTROY)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	rc = sweep(redirect, endpoint, flags, out, info);
	if (rc < 0)
		msp_out_clear(out, sizeof(*out));
	return rc;
}
