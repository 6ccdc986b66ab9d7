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
 *                        with `=` behind them
 *   secret, access key or access token, within 10 characters 40 characters of
 *                        base64, one that is no part of a word
 *   a password, passphrase, secret or token, or a key or secret of an access,
 *                        account, application, client, subscription or api,
 *                        with `:` or `=` and a value: quoted, or up to a blank;
 *                        of what is no password also up to one of & ; ,
 *                        (percent-encoded `:` and `=` count)
 *   bearer and a value   the same, without a sign, too
 *   password or passphrase, but no option, and behind blanks 6 or more
 *                        characters with a letter and a digit, in quotes or not
 *   customData, userData with `:` or `=` and a value
 *   the value of an option that ends in such a word: --db-password VALUE; the
 *                        option stays
 *   --proxy-user NAME:PASSWORD, and behind the name of a program, as cased:
 *     curl               -u -U --user NAME:PASSWORD, --pass --proxy-pass VALUE
 *     mysql, mariadb     -pVALUE
 *     sshpass            -p VALUE
 *     redis-cli, sqlcmd, ldap...  -a VALUE, -P VALUE, -w VALUE
 *   eyJ... with .eyJ...  a JSON web token, whole; as cased
 *   scheme://user:password@host, with its host; percent-encoded, too
 *   authorization: or =  to the end of the line, whatever the scheme
 *   cookie: or =         likewise, and Set-Cookie
 *   ghp_ gho_ ghu_ ghs_ ghr_ github_pat_
 *                        and 20 or more letters, digits or `_`; as cased
 *   64 or more hexadecimal digits in a row: the agent's own key
 *
 * Where the arguments of a command line are known, a value that begins one
 * reaches to its end, and so does that of an argument NAME=VALUE or
 * NAME: VALUE, whatever is in it.
 *
 * One pass, linear time, no memory of its own. Threads: any.
 */
#ifndef MSPD_REDACT_H
#define MSPD_REDACT_H

#include "mspd/text.h"

/** Arguments whose borders count. */
#define MSPD_REDACT_ARGUMENTS 4

/**
 * struct mspd_arguments - where the arguments of a command line are in a text
 * @n:   how many
 * @end: behind each; the next one begins behind the blank that is there, the
 *       last one ends with the text
 */
struct mspd_arguments {
	size_t n;
	size_t end[MSPD_REDACT_ARGUMENTS];
};

/**
 * mspd_redact_to - append @in without secrets, as UTF-8
 * @len:   bytes that are looked at
 * @shown: bytes of them that are wanted, at most @len: the end of a text that
 *         was cut short may be half a secret, which nobody can recognise. If
 *         fewer, the text is taken for cut: what may be the beginning of a
 *         token or of an address with a password is a secret if it reaches
 *         the end
 *
 * Returns whether all of it was taken.
 */
bool mspd_redact_to(struct mspd_text *out, const char *in, size_t len,
		    size_t shown);

/* The same for a command line; @arguments are borrowed, NULL: not known. */
bool mspd_redact_arguments(struct mspd_text *out, const char *in, size_t len,
			   size_t shown,
			   const struct mspd_arguments *arguments);

/**
 * mspd_redact - the same in place
 *
 * Returns the new length, at most @len: the end is left out if the marks take
 * more than the secrets did. Nothing is left without memory.
 */
size_t mspd_redact(char *text, size_t len);

#endif
