/* SPDX-License-Identifier: MIT */
/*
 * In: the types that our programs name, and those of the running kernel. Out:
 * of the kernel's those few only, as libbpf wants them to place our fields.
 * Must never leave out or move a field that is asked for; where anything is
 * not as expected there is no answer, and libbpf reads all types itself.
 */
#include "libmsp/redirect_types.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libmsp/mem.h"

#define ALL_TYPES "/sys/kernel/btf/vmlinux"
/* Where each 64th type is; the others are found from there. A table of all
 * would be larger than all else that is kept. */
#define STRIDE 64
#define NAMES_MAX                                                              \
	1024 /* a power of two, more than twice as many as we have             \
	      */
#define KEPT_MAX 2048
#define DEEP	 32    /* structures in structures */
#define FLAVOR	 "___" /* from there it is ours, and not the kernel's name */

struct name {
	const char *text; /* borrowed from our types; NULL: a free place */
	size_t len;
};

struct names {
	struct name place[NAMES_MAX];
	size_t count;
};

struct kept {
	uint32_t theirs;
	int ours;
};

struct types {
	const unsigned char *from;
	size_t len;
	const char *strings;
	size_t strings_len;
	uint32_t *stride; /* offset of each STRIDE-th type */
	uint32_t count;	  /* their numbers are from 1 */
	struct names wanted;
	struct names fields;
	struct btf *out;
	int pointer; /* number of the one there is, 0: none */
	struct kept kept[KEPT_MAX];
	size_t n_kept;
	uint32_t found[KEPT_MAX]; /* numbers of those that are wanted */
	size_t n_found;
};

/* ---- names ------------------------------------------------------------- */

/* Its place, or the free one where it would be. */
static struct name *place_of(struct names *names, const char *text, size_t len)
{
	uint32_t hash = 2166136261u;
	struct name *at;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	for (i = hash;; i++) {
		at = &names->place[i % NAMES_MAX];
		if (!at->text ||
		    (at->len == len && memcmp(at->text, text, len) == 0))
			return at;
	}
}

static bool has(struct names *names, const char *text)
{
	return place_of(names, text, strlen(text))->text;
}

static bool add(struct names *names, const char *text, size_t len)
{
	struct name *at;

	if (!len)
		return true;
	at = place_of(names, text, len);
	if (at->text)
		return true;
	if (2 * names->count >= NAMES_MAX) /* there is always a free one */
		return false;
	at->text = text;
	at->len = len;
	names->count++;
	return true;
}

static bool add_type(struct types *k, const char *name)
{
	const char *flavor = name[0] ? strstr(name + 1, FLAVOR) : NULL;

	return add(&k->wanted, name,
		   flavor ? (size_t)(flavor - name) : strlen(name));
}

static bool add_fields(struct types *k, const struct btf *ours,
		       const struct btf_type *t)
{
	const struct btf_member *m = btf_members(t);
	const char *name;
	size_t i;

	for (i = 0; i < btf_vlen(t); i++) {
		name = btf__name_by_offset(ours, m[i].name_off);
		if (!name || !add(&k->fields, name, strlen(name)))
			return false;
	}
	return true;
}

static bool learn_names(struct types *k, const struct btf *ours)
{
	const struct btf_type *t;
	const char *name;
	uint32_t i;

	for (i = 1; i < btf__type_cnt(ours); i++) {
		t = btf__type_by_id(ours, i);
		if (!btf_is_composite(t) && !btf_is_typedef(t))
			continue;
		name = btf__name_by_offset(ours, t->name_off);
		if (!name || !add_type(k, name))
			return false;
		if (btf_is_composite(t) && !add_fields(k, ours, t))
			return false;
	}
	return true;
}

/* ---- the kernel's types ------------------------------------------------ */

/* Bytes it takes; 0: of a kind that came after this was written. */
static size_t size_of(const struct btf_type *t)
{
	static const struct {
		uint8_t fixed, each;
	} more[] = {
		[BTF_KIND_INT] = { 4, 0 },
		[BTF_KIND_ARRAY] = { sizeof(struct btf_array), 0 },
		[BTF_KIND_STRUCT] = { 0, sizeof(struct btf_member) },
		[BTF_KIND_UNION] = { 0, sizeof(struct btf_member) },
		[BTF_KIND_ENUM] = { 0, sizeof(struct btf_enum) },
		[BTF_KIND_FUNC_PROTO] = { 0, sizeof(struct btf_param) },
		[BTF_KIND_VAR] = { sizeof(struct btf_var), 0 },
		[BTF_KIND_DATASEC] = { 0, sizeof(struct btf_var_secinfo) },
		[BTF_KIND_DECL_TAG] = { sizeof(struct btf_decl_tag), 0 },
		[BTF_KIND_ENUM64] = { 0, sizeof(struct btf_enum64) },
	};
	uint16_t kind = btf_kind(t);

	if (kind == BTF_KIND_UNKN || kind >= sizeof(more) / sizeof(more[0]))
		return 0;
	return sizeof(*t) + more[kind].fixed +
	       (size_t)more[kind].each * btf_vlen(t);
}

/* NULL: it is not there, or cut off. */
static const struct btf_type *at_offset(const struct types *k, size_t offset,
					size_t *next)
{
	const struct btf_type *t = (const void *)(k->from + offset);
	size_t size;

	if (k->len - offset < sizeof(*t))
		return NULL;
	size = size_of(t);
	if (!size || k->len - offset < size || t->name_off >= k->strings_len)
		return NULL;
	*next = offset + size;
	return t;
}

static const struct btf_type *by_number(const struct types *k, uint32_t number)
{
	const struct btf_type *t = NULL;
	size_t offset;
	uint32_t i;

	if (!number || number > k->count)
		return NULL;
	offset = k->stride[(number - 1) / STRIDE];
	for (i = 0; i <= (number - 1) % STRIDE; i++)
		t = at_offset(k, offset, &offset);
	return t;
}

static const char *text_at(const struct types *k, uint32_t offset)
{
	return offset < k->strings_len ? k->strings + offset : "";
}

/* ---- what is kept of them ---------------------------------------------- */

static int keep(struct types *k, uint32_t number, unsigned int deep);

static bool is_kept(struct types *k, const struct btf_member *m)
{
	const char *name = text_at(k, m->name_off);

	return !name[0] || has(&k->fields, name);
}

/* Those that have no name have fields. */
static int keep_composite(struct types *k, const struct btf_type *t,
			  const char *name, unsigned int deep)
{
	const struct btf_member *m = btf_members(t);
	size_t n = btf_vlen(t), i;
	int rc = 0, number;

	/* their types come before it, none between it and its fields */
	for (i = 0; rc >= 0 && i < n; i++)
		if (is_kept(k, &m[i]))
			rc = keep(k, m[i].type, deep);
	if (rc < 0)
		return rc;
	number = btf_is_struct(t) ? btf__add_struct(k->out, name, t->size)
				  : btf__add_union(k->out, name, t->size);
	for (i = 0, rc = number; rc >= 0 && i < n; i++)
		if (is_kept(k, &m[i]))
			rc = btf__add_field(
				k->out, text_at(k, m[i].name_off),
				keep(k, m[i].type, deep),
				btf_member_bit_offset(t, (__u32)i),
				btf_member_bitfield_size(t, (__u32)i));
	return rc < 0 ? rc : number;
}

static int keep_array(struct types *k, const struct btf_type *t,
		      unsigned int deep)
{
	const struct btf_array *array = btf_array(t);
	int index = keep(k, array->index_type, deep);
	int element = index < 0 ? index : keep(k, array->type, deep);

	return element < 0
		       ? element
		       : btf__add_array(k->out, index, element, array->nelems);
}

static int keep_pointer(struct types *k)
{
	if (!k->pointer)
		k->pointer = btf__add_ptr(k->out, 0);
	return k->pointer;
}

static int keep_new(struct types *k, const struct btf_type *t,
		    unsigned int deep)
{
	const char *name = text_at(k, t->name_off);
	int rc;

	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		return btf__add_int(k->out, name, t->size, btf_int_encoding(t));
	case BTF_KIND_FLOAT:
		return btf__add_float(k->out, name, t->size);
	case BTF_KIND_ENUM:
		return btf__add_enum(k->out, name, t->size);
	case BTF_KIND_ENUM64:
		return btf__add_enum64(k->out, name, t->size, false);
	case BTF_KIND_PTR:
		return keep_pointer(k);
	case BTF_KIND_ARRAY:
		return keep_array(k, t, deep);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return keep_composite(k, t, name, deep);
	case BTF_KIND_TYPEDEF:
		rc = keep(k, t->type, deep);
		if (rc < 0 || !has(&k->wanted, name))
			return rc;
		return btf__add_typedef(k->out, name, rc);
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return keep(k, t->type, deep);
	default:
		return 0; /* no field is a function */
	}
}

/* Its number among those that are kept, 0 for void; below 0: it cannot be
 * told. */
static int keep(struct types *k, uint32_t number, unsigned int deep)
{
	const struct btf_type *t;
	size_t i;
	int rc;

	if (!number)
		return 0;
	for (i = 0; i < k->n_kept; i++)
		if (k->kept[i].theirs == number)
			return k->kept[i].ours;
	t = by_number(k, number);
	if (!t || deep >= DEEP)
		return -1;
	rc = keep_new(k, t, deep + 1);
	if (rc < 0 || k->n_kept == KEPT_MAX)
		return -1;
	k->kept[k->n_kept++] = (struct kept){ number, rc };
	return rc;
}

/* ---- all of it --------------------------------------------------------- */

static bool is_wanted(struct types *k, const struct btf_type *t)
{
	return (btf_is_composite(t) || btf_is_typedef(t)) && t->name_off &&
	       has(&k->wanted, text_at(k, t->name_off));
}

/* Where they are, that all of them can be read, and which are wanted. */
static int find_all(struct types *k)
{
	const struct btf_type *t;
	size_t offset, next;

	/* none is smaller */
	k->stride = msp_mem_array(k->len / sizeof(*t) / STRIDE + 1,
				  sizeof(*k->stride));
	if (!k->stride)
		return -ENOMEM;
	for (offset = 0; offset < k->len; offset = next) {
		t = at_offset(k, offset, &next);
		if (!t)
			return -EINVAL;
		if (k->count % STRIDE == 0)
			k->stride[k->count / STRIDE] = (uint32_t)offset;
		k->count++;
		if (!is_wanted(k, t))
			continue;
		if (k->n_found == KEPT_MAX)
			return -EINVAL;
		k->found[k->n_found++] = k->count;
	}
	return 0;
}

static bool keep_wanted(struct types *k)
{
	size_t i;

	for (i = 0; i < k->n_found; i++)
		if (keep(k, k->found[i], 0) < 0)
			return false;
	return true;
}

static bool read_head(struct types *k, const unsigned char *all, size_t len)
{
	const struct btf_header *head = (const void *)all;

	if (len < sizeof(*head) || head->magic != BTF_MAGIC ||
	    head->version != BTF_VERSION || head->hdr_len < sizeof(*head) ||
	    head->hdr_len > len)
		return false;
	all += head->hdr_len;
	len -= head->hdr_len;
	if (head->type_off > len || head->type_len > len - head->type_off ||
	    head->str_off > len || head->str_len > len - head->str_off ||
	    head->type_off % 4 || head->hdr_len % 4)
		return false;
	k->from = all + head->type_off;
	k->len = head->type_len;
	k->strings = (const char *)all + head->str_off;
	k->strings_len = head->str_len;
	return k->strings_len && !k->strings[0] &&
	       !k->strings[k->strings_len - 1];
}

int msp_redirect_types(struct btf **out, const void *all, size_t len,
		       const struct btf *ours)
{
	struct types *k = msp_mem_zalloc(sizeof(*k));
	int err = -EINVAL;

	*out = NULL;
	if (!k)
		return -ENOMEM;
	if (read_head(k, all, len) && learn_names(k, ours))
		err = find_all(k);
	if (err == 0) {
		k->out = btf__new_empty();
		err = k->out ? 0 : -ENOMEM;
	}
	if (err == 0 && !keep_wanted(k))
		err = -EINVAL;
	if (err == 0) {
		*out = k->out;
		k->out = NULL; /* now the caller's */
	}
	btf__free(k->out);
	msp_mem_free(k->stride);
	msp_mem_free(k);
	return err;
}

/* ---- the running kernel's ---------------------------------------------- */

static bool read_all(int fd, unsigned char *to, size_t len)
{
	ssize_t n = 1;

	for (; len > 0 && n > 0; len -= (size_t)n) {
		n = read(fd, to, len);
		if (n > 0)
			to += n;
	}
	return len == 0;
}

/* Its own pages, where the kernel (from 6.16) shows them; else a copy that is
 * given back as a whole. NULL if it cannot be read. */
static void *map_all(int fd, size_t len)
{
	void *at = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);

	if (at != MAP_FAILED)
		return at;
	at = mmap(NULL, len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (read_all(fd, at, len))
		return at;
	munmap(at, len);
	return NULL;
}

static int types_of_kernel(struct btf **out, const struct btf *ours)
{
	int fd = open(ALL_TYPES, O_RDONLY | O_CLOEXEC);
	void *all = NULL;
	struct stat st;
	int err = -EIO;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		all = map_all(fd, (size_t)st.st_size);
	if (all) {
		err = msp_redirect_types(out, all, (size_t)st.st_size, ours);
		munmap(all, (size_t)st.st_size);
	}
	close(fd);
	return err;
}

int msp_redirect_types_file(const struct btf *ours)
{
	struct btf *types = NULL;
	const void *data;
	__u32 size = 0;
	int fd = types_of_kernel(&types, ours);

	if (fd < 0)
		return fd;
	data = btf__raw_data(types, &size);
	fd = data ? memfd_create("types", MFD_CLOEXEC) : -1;
	if (fd >= 0 && write(fd, data, size) != (ssize_t)size) {
		close(fd);
		fd = -1;
	}
	btf__free(types);
	return fd < 0 ? -EIO : fd;
}
