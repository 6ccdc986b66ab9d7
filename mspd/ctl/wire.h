/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what is in a profile: its wire form, as the library writes it, as a
 * tree.
 */
#ifndef MSPD_CTL_WIRE_H
#define MSPD_CTL_WIRE_H

#include <yajl/yajl_tree.h>

#include "mspd/ctl/ctl.h"

/**
 * struct ctl_wire - one profile
 * @root: the document
 * @lists: privileges, identities; NULL: there are none
 */
struct ctl_wire {
	yajl_val root;
	yajl_val privileges;
	yajl_val identities;
};

/* false, and has said why */
bool ctl_wire_open(struct ctl_wire *out, const struct msp_profile *profile,
		   const char *path);
void ctl_wire_close(struct ctl_wire *wire);
size_t ctl_wire_count(yajl_val list);
/* Text of a member of entry @i, NULL if it has none; borrowed. */
const char *ctl_wire_text(yajl_val list, size_t i, const char *member);
/* A member of entry @i that is an object, or NULL. */
yajl_val ctl_wire_object(yajl_val list, size_t i, const char *member);
/* As text again, in another mode. */
void ctl_wire_put(struct ctl_text *text, const struct ctl_wire *wire,
		  enum msp_mode mode);

#endif
