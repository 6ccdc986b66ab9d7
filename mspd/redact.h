/* SPDX-License-Identifier: MIT */
/*
 * redact.h - text of callers -> the same text without its secrets (spec 9.7,
 * fix Q14), for command lines, targets and telemetry.
 *
 * Every secret becomes `[REDACTED]`; secrets that overlap or touch become one.
 * Letter case does not matter unless said so. A secret is:
 *
 *   pwd=... password=... accountkey=... primarykey=... secondarykey=...
 *                        up to `;`
 *   sig=...              up to `&`
 *   account keys of Azure: 33 letters or digits, AzCa, one of A-P, 5 letters
 *                        or digits, `=`; or 44, AzCa, 5, one of AQgw; as cased
 *   BEGIN PRIVATE KEY----- and the like, to the nearest -----END PRIVATE KEY,
 *                        or to the end of the text; as cased
 *   token, ado, vsts, azuredevops, visualstudio.com, dev.azure.com or pat, any
 *                        character, 52 characters of base32
 *   key, access, sas, shared, secret, password, pwd, pswd or credential, and
 *                        within 200 characters 43 or 86 characters of base64
 * with
 *                        `=` behind them
 *   secret, access key or access token, within 10 characters 40 characters of
 *                        base64, one that is no part of a word
 *   a password, passphrase, secret or token, or a key or secret of an
 *                        application, client or api, with `:` or `=` and a
 *                        value: quoted, or up to a blank; of what is no
 *                        password also up to one of & ; ,
 *   the value of an option that ends in such a word: --db-password VALUE; the
 *                        option stays
 *   eyJ... with .eyJ...  a JSON web token, whole; as cased
 *   scheme://user:password@host, with its host
 *   authorization: or =  to the end of the line, whatever the scheme
 *   64 or more hexadecimal digits in a row: the agent's own key
 *
 * One pass, linear time, no memory of its own. Threads: any.
 */
#ifndef MSPD_REDACT_H
#define MSPD_REDACT_H

#include "mspd/text.h"

/**
 * mspd_redact_to - append @in without secrets, as UTF-8
 * @len:   bytes that are looked at
 * @shown: bytes of them that are wanted, at most @len: the end of a text that
 *         was cut short may be half a secret, which nobody can recognise
 *
 * Returns whether all of it was taken.
 */
bool mspd_redact_to(struct mspd_text *out, const char *in, size_t len,
		    size_t shown);

/**
 * mspd_redact - the same in place
 *
 * Returns the new length, at most @len: the end is left out if the marks take
 * more than the secrets did. Nothing is left without memory.
 */
size_t mspd_redact(char *text, size_t len);

#endif
