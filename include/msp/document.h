/* SPDX-License-Identifier: MIT */
/*
 * document.h - a whole answer of an endpoint: status, headers and body.
 *
 * For who does not want to stream: filled from a client until it is complete,
 * and bounded. Metadata may be secret, so it is wiped before it is freed.
 */
#ifndef MSP_DOCUMENT_H
#define MSP_DOCUMENT_H

#include <msp/client.h>

/** Largest body unless another limit is given, in bytes. */
#define MSP_DOCUMENT_MAX (4 * 1024 * 1024)

struct msp_document;

MSP_BEGIN_DECLS

/**
 * msp_document_new - an empty document
 * @out: new document, or NULL on error; free with msp_document_free()
 * @max: largest body in bytes, 0: MSP_DOCUMENT_MAX
 *
 * Threads: used by one thread at a time; once complete it does not change, and
 * any number may read it. Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_document_new(struct msp_document **out,
					    uint64_t max);

/**
 * msp_document_free - wipe and free
 * @document: NULL is fine
 *
 * Threads: the one that uses the document.
 */
MSP_API void msp_document_free(struct msp_document *document);

/**
 * msp_document_fill - go on with a client's request until all is here
 * @document: of this request only
 * @client:   has a request under way, see msp_client_send()
 * @now:      the caller's clock
 * @info:     optional detail
 *
 * Takes the place of msp_client_run() and msp_client_read(): call it whenever
 * msp_client_fd() is ready for msp_client_events(), or msp_client_deadline()
 * has come. Does not block.
 *
 * Returns 0 when the answer is complete, whatever its status is, and ever
 * after. After an error other than MSP_ERR_AGAIN the document is of no use, and
 * neither is the client, which may be within the answer: free both.
 * Threads: one at a time for each document, and for each client.
 * Errors: MSP_ERR_AGAIN (poll), MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE
 * (the client never had a request), MSP_ERR_LIMIT (a body larger than the
 * document takes, or a head that is too large), MSP_ERR_TIMEOUT, MSP_ERR_SYS,
 * MSP_ERR_CLOSED, MSP_ERR_PROTOCOL.
 */
MSP_API MSP_MUST_CHECK int msp_document_fill(struct msp_document *document,
					     struct msp_client *client,
					     struct msp_time now,
					     struct msp_error_info *info);

/**
 * msp_document_status - status of the answer
 * @document: NULL: 0
 *
 * Returns 200 to 999; 0 before it is complete.
 * Threads: any once it is complete.
 */
MSP_API unsigned int msp_document_status(const struct msp_document *document);

/**
 * msp_document_body - the body, transfer-decoded
 * @document: complete
 * @len:      set to the number of bytes, 0 before it is complete
 *
 * Borrowed; a NUL that is not counted follows. Never NULL.
 * Threads: any once it is complete.
 */
MSP_API const char *msp_document_body(const struct msp_document *document,
				      size_t *len);

/**
 * msp_document_header - value of the first header of that name
 * @document: complete
 * @name:     in any letter case
 * @name_len: its length
 *
 * Borrowed, without the blanks around it. NULL if there is none.
 * Threads: any once it is complete.
 */
MSP_API const char *msp_document_header(const struct msp_document *document,
					const char *name, size_t name_len);

MSP_END_DECLS

#endif
