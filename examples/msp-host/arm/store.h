/* SPDX-License-Identifier: MIT */
/*
 * store.h - galleries, profiles and versions, and where the feature is not.
 */
#ifndef HOST_ARM_STORE_H
#define HOST_ARM_STORE_H

#include "arm/arm.h"
#include "arm/path.h"
#include "arm/schema.h"

/**
 * struct resource - one of them
 * @next:      in the list
 * @type:      never ARM_VM
 * @id:        as arm_path_id() writes it, names as first put; owned
 * @body:      canonical JSON without what is read-only
 * @published: when it was made, seconds since 1970
 */
struct resource {
	struct resource *next;
	enum arm_type type;
	char *id;
	struct buf body;
	int64_t published;
};

/**
 * struct names - a set of them
 * @list: owned, as are its texts
 * @n:    how many
 */
struct names {
	char **list;
	size_t n;
};

/** Names in a set at most. */
#define NAMES_MAX 256

/**
 * struct arm
 * @first:         in the order they were made
 * @n:             how many
 * @regions:       without the feature
 * @subscriptions: that have not registered for it
 */
struct arm {
	struct resource *first;
	size_t n;
	struct names regions;
	struct names subscriptions;
};

bool names_have(const struct names *names, const char *name);
void names_clear(struct names *names);
/* An array of strings into an empty set, or null; regions: each must be the
 * name of one, and is normalized. False: not that, or memory is short. */
bool names_read(struct names *out, yajl_val node, bool regions);
void names_write(struct buf *out, const struct names *names);

struct resource *resource_find(const struct arm *arm, const char *id);
/* At the end of the list, with an empty body; NULL: memory is short. */
struct resource *resource_add(struct arm *arm, enum arm_type type,
			      const char *id);
void resource_remove(struct arm *arm, struct resource *resource);
/* What a body of that type may be. */
const struct schema *resource_schema(enum arm_type type);
/* A parsed body; free it. NULL: memory is short. */
yajl_val resource_tree(const struct resource *resource);

/* Is there room for so many bytes more, of resources, models and rules? */
bool arm_room(const struct emulator *emu, size_t more);

#endif
