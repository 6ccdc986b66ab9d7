/* SPDX-License-Identifier: MIT */
/*
 * redirect_types.h - of the types of the running kernel, those that programs
 * name. To read them all takes libbpf longer than anything else of a start,
 * and twice the memory that they fill.
 */
#ifndef MSP_REDIRECT_TYPES_H
#define MSP_REDIRECT_TYPES_H

#include <stddef.h>

#include <bpf/btf.h>

/* Structures, unions and typedefs of `all` (len bytes, as they are in
 * /sys/kernel/btf/vmlinux) that have a name `ours` has, and of these the fields
 * whose names it has; a pointer points to nothing in particular. No
 * enumerations. 0, and *out for btf__free(); -ENOMEM; -EINVAL: it cannot be
 * told, *out is NULL. */
int msp_redirect_types(struct btf **out, const void *all, size_t len,
		       const struct btf *ours);

/* The same of the running kernel, as a file to be read by libbpf: a descriptor,
 * or -errno. */
int msp_redirect_types_file(const struct btf *ours);

#endif
