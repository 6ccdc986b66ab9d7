/* SPDX-License-Identifier: MIT */
/*
 * In: the application's reply to an exchange. Out: libmicrohttpd's, with the
 * body read as the client takes it. Must never send a header that the
 * application did not name, but for Date and framing.
 */
#include "mspd/server_priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Read at a time, of an answer that is not there as a whole. */
#define READ_BLOCK (32 * 1024)
/* Of one that is larger: fewer waits, for each of which the connection is
 * suspended, and whoever gets it is woken less often. */
#define READ_LARGE (64 * 1024)
/* As long as there are few of them. */
#define READ_HUGE (256 * 1024)
#define HUGE_MAX  16

/* Both heads are in libmicrohttpd's memory then; where that does not suffice
 * it closes the connection without a word. */
bool mspd_exchange_has_room(const struct mspd_exchange *x,
			    const struct mspd_reply *r)
{
	size_t needed = x->used;
	size_t i;

	for (i = 0; i < r->n_headers; i++)
		needed += r->headers[i].name_len + r->headers[i].value_len + 4;
	return needed <= x->server->opts.head_bytes + MSPD_POOL_SPARE;
}

/* In its turbo mode libmicrohttpd itself says nothing to the client until an
 * event makes it look at the connection again. */
static ssize_t cut_off(struct mspd_exchange *x)
{
	shutdown(x->fd, SHUT_RDWR);
	x->server->dirty = true;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_reply(void *arg, uint64_t position, char *out, size_t size)
{
	struct mspd_exchange *x = arg;
	ssize_t n;

	(void)position;
	if (x->aborted)
		return cut_off(x);
	n = x->server->ops->read(x->app, out, size);
	if (n == MSPD_READ_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n < 0)
		return cut_off(x);
	if (n == 0)
		mspd_exchange_suspend(x);
	return n;
}

static size_t block_size(struct mspd_exchange *x, const struct mspd_reply *r)
{
	if (r->bodiless || r->length == MSPD_LENGTH_UNKNOWN ||
	    r->length < READ_LARGE)
		return READ_BLOCK;
	if (r->length < READ_HUGE || x->server->n_huge == HUGE_MAX)
		return READ_LARGE;
	x->huge = true;
	x->server->n_huge++;
	return READ_HUGE;
}

static struct MHD_Response *make_response(struct mspd_exchange *x,
					  const struct mspd_reply *r)
{
	uint64_t length =
		r->length == MSPD_LENGTH_UNKNOWN ? MHD_SIZE_UNKNOWN : r->length;
	struct MHD_Response *response;

	if (r->body || r->length == 0)
		/* libmicrohttpd copies it; it does not write to it */
		return MHD_create_response_from_buffer(
			(size_t)r->length, (void *)(uintptr_t)r->body,
			MHD_RESPMEM_MUST_COPY);
	response = MHD_create_response_from_callback(length, block_size(x, r),
						     read_reply, x, NULL);
	/* libmicrohttpd would say "chunked", and send a last chunk as well,
	 * which were the start of the next answer; or a length that nobody
	 * said. Without either the connection has to end. */
	if (response && r->bodiless && r->length == MSPD_LENGTH_UNKNOWN)
		MHD_set_response_options(response,
					 MHD_RF_HTTP_1_0_COMPATIBLE_STRICT,
					 MHD_RO_END);
	return response;
}

/* libmicrohttpd refuses empty values; such a line is left out. */
static int add_header(struct mspd_server *s, struct MHD_Response *response,
		      const struct msp_header *h)
{
	char *name = s->scratch;
	char *value = name + h->name_len + 1;
	size_t i;

	if (h->value_len == 0)
		return 0;
	if (h->name_len > sizeof(s->scratch) - 2 ||
	    h->value_len > sizeof(s->scratch) - 2 - h->name_len)
		return -E2BIG;
	for (i = 0; i < h->name_len; i++)
		name[i] = (char)tolower((unsigned char)h->name[i]);
	name[h->name_len] = '\0';
	memcpy(value, h->value, h->value_len);
	value[h->value_len] = '\0';
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		return -EINVAL;
	return 0;
}

static int fill_response(struct mspd_exchange *x, struct MHD_Response *response,
			 const struct mspd_reply *r)
{
	size_t i;
	int err;

	/* first: adding it after Date makes libmicrohttpd send Date twice */
	if (x->close &&
	    MHD_add_response_header(response, "connection", "close") != MHD_YES)
		return -ENOMEM;
	for (i = 0; i < r->n_headers; i++) {
		err = add_header(x->server, response, &r->headers[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

int mspd_exchange_reply(struct mspd_exchange *x, const struct mspd_reply *r)
{
	struct MHD_Response *response;
	int err = -EALREADY;

	if (x->reply || x->stage == STAGE_REPLY)
		return err;
	x->close = r->close || x->server->draining ||
		   (x->stage == STAGE_WAIT &&
		    (x->hasty || (x->lengthy && !r->patience)));
	response = make_response(x, r);
	err = response ? fill_response(x, response, r) : -ENOMEM;
	if (err < 0) {
		if (response)
			MHD_destroy_response(response);
		mspd_exchange_abort(x);
		return err;
	}
	x->reply = response;
	x->status = r->status;
	x->patience = r->patience;
	mspd_exchange_resume(x);
	return 0;
}
