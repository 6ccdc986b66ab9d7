/* SPDX-License-Identifier: MIT */
/*
 * In: a client with a request under way. Out: the whole of the answer. Must
 * never grow past its bound, nor leave what it held in freed memory.
 */
#include <msp/document.h>

#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/buffer.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"

struct msp_document {
	size_t max; /* bytes of body */
	struct msp_buffer body;
	char *head; /* name NUL value NUL, for each header; owned */
	size_t head_len;
	unsigned int status; /* 0: the head has not come yet */
	bool complete;
};

int msp_document_new(struct msp_document **out, uint64_t max)
{
	struct msp_document *d;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (max >= SIZE_MAX)
		return MSP_ERR_INVAL;
	d = msp_mem_zalloc(sizeof(*d));
	if (!d)
		return MSP_ERR_NOMEM;
	d->max = max ? (size_t)max : MSP_DOCUMENT_MAX;
	*out = d;
	return 0;
}

void msp_document_free(struct msp_document *document)
{
	if (!document)
		return;
	msp_buffer_drop(&document->body);
	msp_mem_wipe(document->head, document->head_len);
	msp_mem_free(document->head);
	msp_mem_free(document);
}

static char *put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	at[len] = '\0';
	return at + len + 1;
}

/* The client's own copy dies with its next request. */
static int keep_head(struct msp_document *d, const struct msp_response *r)
{
	size_t i, len = 0;
	char *at;

	for (i = 0; i < r->n_headers; i++)
		len += r->headers[i].name_len + r->headers[i].value_len + 2;
	at = msp_mem_alloc(len + 1);
	if (!at)
		return MSP_ERR_NOMEM;
	d->head = at;
	d->head_len = len;
	for (i = 0; i < r->n_headers; i++) {
		const struct msp_header *h = &r->headers[i];

		at = put(at, h->name, h->name_len);
		at = put(at, h->value, h->value_len);
	}
	d->status = r->status;
	return 0;
}

static int too_large(const struct msp_document *d, struct msp_error_info *info)
{
	return msp_fail(info, MSP_ERR_LIMIT,
			"the answer is larger than %zu bytes", d->max);
}

static int take_head(struct msp_document *d, const struct msp_client *client,
		     struct msp_error_info *info)
{
	const struct msp_response *r = msp_client_response(client);
	int rc;

	if (!r)
		return msp_fail(info, MSP_ERR_PROTOCOL, "no answer");
	if (r->length != MSP_BODY_CHUNKED && r->length > d->max)
		return too_large(d, info);
	rc = keep_head(d, r);
	return rc < 0 ? msp_fail(info, rc, "%s", msp_error_text(rc)) : 0;
}

static int take_body(struct msp_document *d, struct msp_client *client,
		     struct msp_time now, struct msp_error_info *info)
{
	struct msp_buffer *body = &d->body;
	size_t got;
	int rc;

	for (;;) {
		/* there is always room for one more, in the end for the NUL */
		rc = msp_buffer_grow(body, d->max);
		if (rc == MSP_ERR_LIMIT)
			return too_large(d, info);
		if (rc < 0)
			return msp_fail(info, rc, "%s", msp_error_text(rc));
		rc = msp_client_read(client, now, body->data + body->len,
				     body->cap - body->len, &got, info);
		if (rc < 0)
			return rc;
		if (!got)
			break;
		body->len += got;
	}
	body->data[body->len] = '\0';
	d->complete = true;
	return 0;
}

int msp_document_fill(struct msp_document *document, struct msp_client *client,
		      struct msp_time now, struct msp_error_info *info)
{
	struct msp_document *d = document;
	int rc;

	if (!d || !client)
		return MSP_ERR_INVAL;
	if (d->complete)
		return 0;
	rc = msp_client_run(client, now, info);
	if (rc < 0)
		return rc;
	if (!d->status) {
		rc = take_head(d, client, info);
		if (rc < 0)
			return rc;
	}
	return take_body(d, client, now, info);
}

unsigned int msp_document_status(const struct msp_document *document)
{
	return document && document->complete ? document->status : 0;
}

const char *msp_document_body(const struct msp_document *document, size_t *len)
{
	bool complete = document && document->complete;

	if (len)
		*len = complete ? document->body.len : 0;
	return complete ? document->body.data : "";
}

const char *msp_document_header(const struct msp_document *document,
				const char *name, size_t name_len)
{
	const char *at, *end, *value;

	if (!document || !document->complete || !name)
		return NULL;
	at = document->head;
	for (end = at + document->head_len; at < end;
	     at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		if (msp_ascii_equal(at, strlen(at), name, name_len))
			return value;
	}
	return NULL;
}
