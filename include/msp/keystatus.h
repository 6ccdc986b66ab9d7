/* SPDX-License-Identifier: MIT */
/*
 * keystatus.h - the answer to GET /secure-channel/status -> typed state.
 *
 * Versions 1.0 and 2.0 (spec 5.2-5.4).
 */
#ifndef MSP_KEYSTATUS_H
#define MSP_KEYSTATUS_H

#include <msp/profile.h>

/** Largest status document accepted, in bytes. */
#define MSP_KEYSTATUS_MAX_BYTES (4 * 1024 * 1024)
/** Room for any text of msp_keystatus_channel(), with NUL. */
#define MSP_CHANNEL_STATE_MAX 80

struct msp_keystatus;

MSP_BEGIN_DECLS

/**
 * msp_keystatus_parse - read and validate a key status document
 * @out:  new status, or NULL on error; free with msp_keystatus_free()
 * @json: the document, UTF-8; a byte order mark is skipped; borrowed
 * @len:  at most MSP_KEYSTATUS_MAX_BYTES
 * @info: optional: position, field and cause of the first error
 *
 * A fault of the envelope refuses the document: not JSON, wrong type or a
 * missing required field outside the rule items, a known field given twice,
 * authorizationScheme other than Azure-HMAC-SHA256, keyDeliveryMethod other
 * than http or vtpm, keyGuid that is no guid, the conditions of spec 5.3. A
 * rule item that does not validate affects its own endpoint only: see
 * msp_keystatus_fault().
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_SYNTAX, MSP_ERR_SCHEMA,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_keystatus_parse(struct msp_keystatus **out,
					       const char *json, size_t len,
					       struct msp_error_info *info);

/**
 * msp_keystatus_free - free a status and what was borrowed from it
 * @status: NULL is fine
 *
 * Threads: the one that owns it.
 */
MSP_API void msp_keystatus_free(struct msp_keystatus *status);

/**
 * msp_keystatus_guid - guid of the key the host has latched
 * @status: not NULL
 *
 * MSP_GUID_LEN characters as the host wrote them, and NUL; NULL if it has none.
 * Borrowed from @status. Threads: any.
 */
MSP_API const char *msp_keystatus_guid(const struct msp_keystatus *status);

/**
 * msp_keystatus_incarnation - the status' keyIncarnationId, if it has one
 * @status: not NULL
 * @out:    not NULL; set only when true is returned
 *
 * Threads: any.
 */
MSP_API bool msp_keystatus_incarnation(const struct msp_keystatus *status,
				       uint32_t *out);

/**
 * msp_keystatus_version - version of the document
 * @status: not NULL
 *
 * "1.0", "2.0" or what the host wrote. Borrowed from @status. Threads: any.
 */
MSP_API const char *msp_keystatus_version(const struct msp_keystatus *status);

/**
 * msp_keystatus_delivery - how the host hands out keys
 * @status: not NULL
 *
 * "http" or "vtpm"; a constant. Threads: any.
 */
MSP_API const char *msp_keystatus_delivery(const struct msp_keystatus *status);

/**
 * msp_keystatus_enabled - false when the channel state is "disabled"
 * @status: not NULL
 *
 * Threads: any.
 */
MSP_API bool msp_keystatus_enabled(const struct msp_keystatus *status);

/**
 * msp_keystatus_channel - the secure channel state text (spec 5.4)
 * @status: not NULL
 *
 * "disabled", "wireserver", "wireserverandimds", or
 * "WireServer <M> -  IMDS <M> - HostGA <M>" with two blanks before IMDS.
 * Borrowed from @status. Threads: any.
 */
MSP_API const char *msp_keystatus_channel(const struct msp_keystatus *status);

/**
 * msp_keystatus_mode - mode of an endpoint (spec 5.4)
 * @status:   not NULL
 * @endpoint: which; MSP_MODE_ENFORCE for what is none
 *
 * HostGAPlugin repeats WireServer. MSP_MODE_DISABLED for all when the channel
 * is disabled (Q28). For an item that did not validate: its own mode word
 * if that could be read, else MSP_MODE_ENFORCE.
 * Threads: any.
 */
MSP_API enum msp_mode msp_keystatus_mode(const struct msp_keystatus *status,
					 enum msp_endpoint endpoint);

/**
 * msp_keystatus_profile - rule item that governs an endpoint
 * @status:   not NULL
 * @endpoint: which
 *
 * HostGAPlugin is governed by WireServer's item (Q19). NULL when
 * there is none, or when it is invalid: tell the two by
 * msp_keystatus_fault(). Borrowed from @status: msp_profile_ref() it to keep
 * it. Threads: any.
 */
MSP_API const struct msp_profile *
msp_keystatus_profile(const struct msp_keystatus *status,
		      enum msp_endpoint endpoint);

/**
 * msp_keystatus_fault - why an endpoint's item was refused
 * @status:   not NULL
 * @endpoint: which
 *
 * NULL if it was not. The pointer is relative to the whole document. Borrowed
 * from @status. Threads: any.
 */
MSP_API const struct msp_error_info *
msp_keystatus_fault(const struct msp_keystatus *status,
		    enum msp_endpoint endpoint);

/**
 * msp_keystatus_rule_id - id of the endpoint's item as received
 * @status:   not NULL
 * @endpoint: which
 *
 * "" if there is no item or its id cannot be read. Borrowed from @status.
 * Threads: any.
 */
MSP_API const char *msp_keystatus_rule_id(const struct msp_keystatus *status,
					  enum msp_endpoint endpoint);

MSP_END_DECLS

#endif
