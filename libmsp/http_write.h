/* SPDX-License-Identifier: MIT */
/*
 * http_write.h - a request -> the bytes that go out, signed if wanted.
 */
#ifndef MSP_HTTP_WRITE_H
#define MSP_HTTP_WRITE_H

#include <msp/client.h>

/* Bytes waiting to be sent; data is owned. Zeroed: none. */
struct msp_http_out {
	char *data;
	size_t start; /* first byte not sent yet */
	size_t end;   /* behind the last byte to send */
	size_t cap;   /* bytes allocated */
};

/*
 * Serialize a request over what was there; arguments as of msp_client_send().
 * There is room for at least room bytes more than a complete request. Errors:
 * MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_NOMEM, MSP_ERR_CRYPTO; then *out is as
 * it was.
 */
int msp_http_write(struct msp_http_out *out, const struct msp_message *message,
		   uint64_t body_len, struct msp_signer *signer, size_t room,
		   struct msp_error_info *info);

/* Wipe and free; an authorization is good for as long as its date is. */
void msp_http_out_free(struct msp_http_out *out);

/* Wipe, and keep what the next request will need: a small buffer. */
void msp_http_out_rest(struct msp_http_out *out);

/*
 * Room for more, sent bytes dropped: then append that much at most. A chunk
 * is framed here; the room for it and for the last chunk is counted.
 */
size_t msp_http_out_room(struct msp_http_out *out, bool chunked);
void msp_http_out_append(struct msp_http_out *out, const void *data, size_t len,
			 bool chunked);
void msp_http_out_last_chunk(struct msp_http_out *out);

#endif
