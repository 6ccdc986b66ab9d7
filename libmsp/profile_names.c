/* SPDX-License-Identifier: MIT */
/*
 * In: entries with names. Out: which is first, second, or nobody of a name.
 * Must never take more than n log n steps: the names are the host's.
 */
#include "libmsp/profile_names.h"

#include <stdlib.h>
#include <string.h>

#include "libmsp/mem.h"

int msp_text_compare(const struct msp_text *a, const struct msp_text *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->text, b->text, len);

	if (order)
		return order;
	return a->len < b->len ? -1 : a->len > b->len;
}

static int compare_named(const void *va, const void *vb)
{
	const struct msp_named *a = va, *b = vb;
	int order = msp_text_compare(a->name, b->name);

	if (order)
		return order;
	return a->index < b->index ? -1 : a->index > b->index;
}

int msp_names_index(struct msp_names *names, const void *entries, size_t n,
		    size_t size)
{
	const char *entry = entries;
	size_t i;

	if (!n)
		return 0;
	names->sorted = msp_mem_array(n, sizeof(*names->sorted));
	names->used = msp_mem_array(n, sizeof(*names->used));
	names->list = msp_mem_array(n, sizeof(*names->list));
	if (!names->sorted || !names->used || !names->list)
		return MSP_ERR_NOMEM;
	for (i = 0; i < n; i++, entry += size) {
		const struct msp_text *name = (const void *)entry;

		if (!name->text)
			continue;
		names->sorted[names->n].name = name;
		names->sorted[names->n++].index = (uint32_t)i;
	}
	qsort(names->sorted, names->n, sizeof(*names->sorted), compare_named);
	return 0;
}

void msp_names_free(struct msp_names *names)
{
	msp_mem_free(names->sorted);
	msp_mem_free(names->used);
	msp_mem_free(names->list);
}

bool msp_names_find(const struct msp_names *names, uint32_t *index,
		    const struct msp_text *name)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (msp_text_compare(name, names->sorted[mid].name) <= 0)
			high = mid;
		else
			low = mid + 1;
	}
	if (low == names->n ||
	    msp_text_compare(name, names->sorted[low].name) != 0)
		return false;
	*index = names->sorted[low].index;
	return true;
}

bool msp_names_repeats(const struct msp_names *names, uint32_t index,
		       const struct msp_text *name)
{
	uint32_t first = index;

	return msp_names_find(names, &first, name) && first != index;
}
