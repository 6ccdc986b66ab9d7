/* SPDX-License-Identifier: MIT */
/*
 * imds.h - the instance document and what can be read out of it.
 */
#ifndef HOST_IMDS_H
#define HOST_IMDS_H

#include "net/call.h"

/** What looking up a path in the instance document comes to. */
enum document {
	DOCUMENT_OK,
	DOCUMENT_NOT_FOUND,
	DOCUMENT_IS_LEAF, /* asked for as JSON, which has no form for it */
	DOCUMENT_FAILED
};

/* The part at path ("" or "/compute/vmId") as JSON or as text: a leaf's own
 * text, or the names below, one per line, those with more below ending in a
 * slash. */
enum document document_read(struct buf *out, const char *path, bool as_text);

#endif
