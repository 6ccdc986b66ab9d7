/* SPDX-License-Identifier: MIT */
/*
 * In: descriptors that a predecessor left, by name. Out: those that are what
 * their names say, in use again; and the names of our own. Must never use one
 * that was not looked at in the kernel, nor keep two programs in one place.
 */
#include "libmsp/redirect_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/msp.packed.h"

#define PREFIX	   "libmsp."
#define TEXT(x)	   #x
#define VALUE(x)   TEXT(x)
#define NAME(of)   PREFIX VALUE(MSP_BPF_LAYOUT) "." of
#define DIGITS	   "0123456789"
#define LINK	   "anon_inode:bpf_link"
#define LINK_OLD   "anon_inode:bpf-link"
#define MAP	   "anon_inode:bpf-map"
#define MAP_FACTS  MSP_REDIRECT_HOOKS
#define MAP_OWN	   (MSP_REDIRECT_HOOKS + 1)
#define MAP_STATES (MSP_REDIRECT_HOOKS + 2)

/* Links first, in the order of msp_redirect_hook(). */
static const char *const names[] = {
	NAME("connect4"), NAME("connect6"),	NAME("bind4"),
	NAME("bind6"),	  NAME("getpeername4"), NAME("getpeername6"),
	NAME("facts"),	  NAME("own"),		NAME("states"),
};
_Static_assert(sizeof(names) / sizeof(names[0]) == MSP_REDIRECT_PARTS, "parts");

static struct bpf_map *map_of(const struct msp_redirect *r, size_t i)
{
	switch (i) {
	case MAP_FACTS:
		return r->skel->maps.msp_facts;
	case MAP_OWN:
		return r->skel->maps.msp_own;
	default:
		return r->skel->maps.data_states;
	}
}

/* ---- names ------------------------------------------------------------- */

/* What sockets carry is of one layout. Links get our programs, and states are
 * what they always were: of those the number does not matter. With a second
 * program in its place, a connection would be redirected to the listener by one
 * and be taken by the other for one that wanted to go there. */
static bool is_called(const char *name, size_t i)
{
	size_t digits;

	if (strcmp(name, names[i]) == 0)
		return true;
	if (i == MAP_FACTS || i == MAP_OWN ||
	    strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	name += sizeof(PREFIX) - 1;
	digits = strspn(name, DIGITS);
	return digits > 0 && strcmp(name + digits, strrchr(names[i], '.')) == 0;
}

/* ---- what they are ----------------------------------------------------- */

static bool is_a(int fd, const char *what)
{
	char path[32], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strcmp(text, what) == 0;
}

static bool map_fits(const struct bpf_map *map, int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return is_a(fd, MAP) && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.type == (__u32)bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map) &&
	       strncmp(info.name, bpf_map__name(map), sizeof(info.name) - 1) ==
		       0;
}

/* One that somebody has detached is in no cgroup. */
static bool link_fits(const struct msp_redirect *r, int fd,
		      enum bpf_attach_type type, __u32 *id)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	struct stat cgroup;

	if ((!is_a(fd, LINK) && !is_a(fd, LINK_OLD)) ||
	    bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return false;
	*id = info.id;
	return info.type == BPF_LINK_TYPE_CGROUP &&
	       info.cgroup.attach_type == (__u32)type &&
	       fstat(r->cgroup_fd, &cgroup) == 0 &&
	       info.cgroup.cgroup_id == cgroup.st_ino;
}

/* ---- taking them ------------------------------------------------------- */

int msp_redirect_take_maps(struct msp_redirect *r)
{
	struct bpf_map *map;
	size_t i, n;
	int rc;

	r->taken = 0;
	for (i = MAP_FACTS; i <= MAP_STATES; i++) {
		map = map_of(r, i);
		for (n = 0; n < r->n_parts && !(r->taken & 1u << i); n++) {
			if (!is_called(r->parts[n].name, i) ||
			    !map_fits(map, r->parts[n].fd))
				continue;
			rc = bpf_map__reuse_fd(map, r->parts[n].fd);
			if (rc < 0)
				return rc;
			r->taken |= 1u << i;
		}
	}
	return 0;
}

/* A descriptor of our own, with our program in it; -1: it cannot be had. */
static int replace(int fd, const struct bpf_program *program)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0 ||
	    bpf_link_update(own, bpf_program__fd(program), NULL) == 0)
		return own;
	close(own);
	return -1;
}

/* Whoever failed to forget one may have kept two. */
int msp_redirect_take_link(struct msp_redirect *r, size_t i,
			   const struct bpf_program *program)
{
	enum bpf_attach_type type = bpf_program__expected_attach_type(program);
	__u32 id, taken = 0;
	int own = -1;
	size_t n;

	for (n = 0; n < r->n_parts; n++) {
		if (!is_called(r->parts[n].name, i) ||
		    !link_fits(r, r->parts[n].fd, type, &id))
			continue;
		if (own < 0) {
			own = replace(r->parts[n].fd, program);
			taken = own < 0 ? 0 : id; /* no link has number 0 */
		}
		if (id != taken)
			(void)bpf_link_detach(r->parts[n].fd);
	}
	if (own >= 0)
		r->taken |= 1u << i;
	return own;
}

/* The programs take any number but 0 for on. */
void msp_redirect_check_states(struct msp_redirect *r)
{
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (__atomic_load_n(&r->states->state[i], __ATOMIC_ACQUIRE) >
		    MSP_REDIRECT_ENFORCE)
			__atomic_store_n(&r->states->state[i],
					 MSP_REDIRECT_ENFORCE,
					 __ATOMIC_RELEASE);
}

/* ---- public ------------------------------------------------------------ */

size_t msp_redirect_parts(const struct msp_redirect *redirect,
			  struct msp_redirect_part *out, size_t room)
{
	size_t i;

	if (!redirect || !out)
		return 0;
	for (i = 0; i < MSP_REDIRECT_PARTS && i < room; i++) {
		out[i].name = names[i];
		out[i].fd = i < MSP_REDIRECT_HOOKS
				    ? redirect->link_fds[i]
				    : bpf_map__fd(map_of(redirect, i));
		out[i].reserved = 0;
	}
	return i;
}

unsigned int msp_redirect_taken(const struct msp_redirect *redirect)
{
	return redirect ? redirect->taken : 0;
}
