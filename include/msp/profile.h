/* SPDX-License-Identifier: MIT */
/*
 * profile.h - text -> validated access control profile of one endpoint, and
 * back.
 *
 * There are three forms of the same thing: what the host sends, what an owner
 * keeps in Azure, and what an administrator puts beside the agent.
 */
#ifndef MSP_PROFILE_H
#define MSP_PROFILE_H

#include <msp/endpoint.h>
#include <msp/error.h>
#include <msp/finding.h>
#include <msp/text.h>

/** Largest profile document accepted, in bytes. */
#define MSP_PROFILE_MAX_BYTES (1024 * 1024)
/** Most entries in each of the four arrays. */
#define MSP_PROFILE_MAX_ITEMS 65536

enum msp_access { MSP_ACCESS_DENY = 0, MSP_ACCESS_ALLOW = 1 };

/** How a profile is written. */
enum msp_profile_form {
	MSP_PROFILE_ANY = 0,  /* whichever it is */
	MSP_PROFILE_WIRE = 1, /* rule item of the key status (spec 5.2) */
	MSP_PROFILE_ARM = 2,  /* Azure resource, alone or in a template */
	MSP_PROFILE_LOCAL = 3 /* local rule file of the VM (spec 8.5) */
};

/**
 * struct msp_profile_opts - what is expected of a document
 * @size:     sizeof(struct msp_profile_opts)
 * @form:     MSP_PROFILE_ANY, or the form it must have
 * @reserved: 0
 * @select:   which of several profiles of a template: the name of a version
 *            resource as written, the last component of it, or its key where
 *            resources have keys; NULL: there must be exactly one
 */
struct msp_profile_opts {
	size_t size;
	enum msp_profile_form form;
	uint32_t reserved;
	const char *select;
};
#define MSP_PROFILE_OPTS_INIT                                                  \
	{                                                                      \
		sizeof(struct msp_profile_opts), MSP_PROFILE_ANY, 0, NULL      \
	}

struct msp_profile;

MSP_BEGIN_DECLS

/**
 * msp_profile_read - read and validate one profile, and say all there is to say
 * @out:      new profile, or NULL on error; free with msp_profile_free()
 * @findings: optional: new list of all errors and warnings, also when the
 *            profile is refused; NULL on MSP_ERR_INVAL and MSP_ERR_NOMEM; free
 *            with msp_findings_free()
 * @json:     the document, UTF-8, a byte order mark is skipped; borrowed for
 *            this call
 * @len:      at most MSP_PROFILE_MAX_BYTES
 * @opts:     NULL: any form
 * @info:     optional: position, field and cause of the first error met; the
 *            findings are in the order of their places instead
 *
 * Forms are told apart by content: a member "properties", "resources" or
 * "$schema" makes it ARM, else a member "mode" the wire form, else it is a
 * local file. Asking for the wire form or a local file overrides how those two
 * are told apart.
 *
 * Errors refuse the profile whole: wrong type, missing required
 * field, field given twice, unknown mode or defaultAccess, empty or duplicate
 * names, query parameters given twice (in any letter case), a path that cannot
 * be canonicalized. Warnings are kept with the profile: unknown fields,
 * dangling references (they grant nothing), references given twice, identities
 * without a selector (they match everyone), empty selectors (they match
 * nobody), roles and assignments of nothing, unused names.
 *
 * In a local file the violations of spec 8.5 are errors, in its words; mode is
 * ignored and stands as MSP_MODE_ENFORCE, defaultAccess may be absent.
 *
 * ARM: a resource of type .../inVMAccessControlProfiles/versions, or a template
 * with one, also nested below its profile. What only Azure can evaluate
 * ("[...]", copy) is an error where it would decide anything; "[[...]" is the
 * text "[...]". A resource that has an id and no apiVersion is taken as Azure
 * answers it, without expressions. Its id is "id", else "name", else "".
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_SYNTAX, MSP_ERR_SCHEMA,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_profile_read(struct msp_profile **out,
					    struct msp_findings **findings,
					    const char *json, size_t len,
					    const struct msp_profile_opts *opts,
					    struct msp_error_info *info);

/**
 * msp_profile_parse - read and validate one profile, for who uses it only
 * @out:  new profile, or NULL on error; free with msp_profile_free()
 * @json: as in msp_profile_read()
 * @len:  at most MSP_PROFILE_MAX_BYTES
 * @info: optional: position, field and cause of the first error met
 *
 * msp_profile_read() of any form, without a list of findings.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_SYNTAX, MSP_ERR_SCHEMA,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_profile_parse(struct msp_profile **out,
					     const char *json, size_t len,
					     struct msp_error_info *info);

/**
 * msp_profile_ref - one more owner of the same profile
 * @profile: NULL: NULL; also one that is borrowed from a key status
 *
 * Returns @profile; each owner calls msp_profile_free() once. Threads: any.
 */
MSP_API struct msp_profile *msp_profile_ref(const struct msp_profile *profile);

/**
 * msp_profile_free - give up a profile; the last owner frees it
 * @profile: NULL is fine
 *
 * Threads: any.
 */
MSP_API void msp_profile_free(struct msp_profile *profile);

/**
 * msp_profile_id - id as received
 * @profile: NULL: ""
 *
 * "" if it has none. Borrowed from @profile. Threads: any.
 */
MSP_API const char *msp_profile_id(const struct msp_profile *profile);

/**
 * msp_profile_form - how it was written
 * @profile: NULL: MSP_PROFILE_ANY
 *
 * Of a profile never MSP_PROFILE_ANY. Threads: any.
 */
MSP_API enum msp_profile_form
msp_profile_form(const struct msp_profile *profile);

/**
 * msp_profile_mode - mode of the item
 * @profile: NULL: MSP_MODE_ENFORCE
 *
 * MSP_MODE_ENFORCE for a local file, which has none. Threads: any.
 */
MSP_API enum msp_mode msp_profile_mode(const struct msp_profile *profile);

/**
 * msp_profile_access - what applies where no privilege matches
 * @profile: NULL: MSP_ACCESS_DENY
 *
 * Threads: any.
 */
MSP_API enum msp_access msp_profile_access(const struct msp_profile *profile);

/**
 * msp_profile_has_access - does it say what applies where nothing matches?
 * @profile: NULL: false
 *
 * False only for a local file without defaultAccess: the host's applies. What
 * msp_profile_access() returns then is MSP_ACCESS_DENY.
 * Threads: any.
 */
MSP_API bool msp_profile_has_access(const struct msp_profile *profile);

/**
 * msp_profile_endpoint - endpoint it is made for, if the document says so
 * @profile: NULL: false
 * @out:     set if true is returned
 *
 * Only a template with the profile resource of the version does.
 * Threads: any.
 */
MSP_API bool msp_profile_endpoint(const struct msp_profile *profile,
				  enum msp_endpoint *out);

/**
 * msp_profile_equal - same id, mode, default and rules, in whatever form
 * @a: NULL equals NULL only
 * @b: likewise
 *
 * What differs only in letter case where case does not count, or in unknown
 * fields, is equal.
 * Threads: any.
 */
MSP_API bool msp_profile_equal(const struct msp_profile *a,
			       const struct msp_profile *b);

/** On one line, instead of indented. */
#define MSP_PROFILE_COMPACT 1u
/** ARM: a deployment template that makes the profile and this version of it. */
#define MSP_PROFILE_TEMPLATE 2u
/** The field endpoint counts. */
#define MSP_PROFILE_ENDPOINT 4u

/**
 * struct msp_profile_write_opts - how to write a profile
 * @size:     sizeof(struct msp_profile_write_opts)
 * @form:     MSP_PROFILE_ANY: the one it was read in
 * @flags:    MSP_PROFILE_COMPACT, MSP_PROFILE_TEMPLATE, MSP_PROFILE_ENDPOINT
 * @name:     ARM: "gallery/profile/1.0.0"; NULL: that of the profile if its id
 *            is an ARM id or such a name, else these very words
 * @location: ARM: of the resources, in a template also an expression; NULL:
 *            what was read, else "[resourceGroup().location]" in a template,
 *            else MSP_ERR_INVAL
 * @endpoint: with MSP_PROFILE_ENDPOINT: what a template's profile is made for,
 *            MSP_ENDPOINT_WIRESERVER or MSP_ENDPOINT_IMDS, because Azure knows
 *            no other; without it what was read, else MSP_ERR_INVAL
 * @reserved: 0
 */
struct msp_profile_write_opts {
	size_t size;
	enum msp_profile_form form;
	uint32_t flags;
	const char *name;
	const char *location;
	enum msp_endpoint endpoint;
	uint32_t reserved;
};
#define MSP_PROFILE_WRITE_OPTS_INIT                                            \
	{                                                                      \
		sizeof(struct msp_profile_write_opts), MSP_PROFILE_ANY, 0,     \
			NULL, NULL, MSP_ENDPOINT_WIRESERVER, 0                 \
	}

/**
 * msp_profile_write - a profile as text in one of its forms
 * @out:     new text, NUL-terminated, or NULL on error; free with
 *           msp_text_free()
 * @len:     optional: its length in bytes
 * @profile: borrowed for this call
 * @opts:    NULL: the form it was read in, indented
 * @info:    optional: why not
 *
 * Reading the text again gives a profile that is msp_profile_equal(), if it is
 * not over MSP_PROFILE_MAX_BYTES; but a template has no id (the name of its
 * version is read as one), and a local file no mode. What did not count when
 * it was read is not written: unknown fields, dangling and repeated
 * references.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL (also for texts of opts that are not UTF-8),
 * MSP_ERR_SCHEMA (it says what a local file must not), MSP_ERR_LIMIT (a local
 * file over the limit), MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_profile_write(char **out, size_t *len, const struct msp_profile *profile,
		  const struct msp_profile_write_opts *opts,
		  struct msp_error_info *info);

/**
 * msp_profile_uses_local - does the host let a local rule file count?
 * @out:  set on success, false on error
 * @host: the host's item, or the profile it is made from
 *
 * It does by an id that is the base64 of a JSON object with a member
 * "useLocalFileRules" of true (spec 8.5); any other id is a plain one.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_profile_uses_local(bool *out, const struct msp_profile *host);

/**
 * msp_profile_merge - the item in force, of the host's and the local file
 * @out:   new profile in wire form, or NULL on error; free with
 *         msp_profile_free()
 * @host:  the host's item, not a local file; stays in use by @out
 * @local: local file, or NULL if there is none; counts only if
 *         msp_profile_uses_local(); stays in use by @out
 * @info:  optional: why not
 *
 * The id becomes "ID-useLocalFileRules-false" or "-true", ID being the id in
 * the host's base64 if it is one; an empty ID leaves it as it is. "_" and the
 * id of the local file follow if that has one. The mode is the host's, the
 * default the local file's if it has one. If both have rules, those of the
 * local file are added to the host's, their names and references beginning
 * with "LocalFileRules_" (spec 8.5). The findings are those of neither.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT (more than MSP_PROFILE_MAX_ITEMS in an
 * array), MSP_ERR_SCHEMA (the host itself has such a name), MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_profile_merge(struct msp_profile **out,
					     const struct msp_profile *host,
					     const struct msp_profile *local,
					     struct msp_error_info *info);

/**
 * msp_profile_closed - the item in force where the local file cannot be used
 * @out:  new profile in wire form, or NULL on error; free with
 *        msp_profile_free()
 * @host: the host's item, not a local file; stays in use by @out
 *
 * That of msp_profile_merge() without a local file, but it grants nothing, and
 * denies what is not granted. The mode stays the host's.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_profile_closed(struct msp_profile **out,
					      const struct msp_profile *host);

/**
 * msp_profile_findings - the warnings it was read with
 * @profile: NULL: NULL
 *
 * A list for msp_findings_get() and the other calls of finding.h, but not for
 * msp_findings_free(): it is borrowed from @profile. NULL, which is an empty
 * list, of a profile that was not read: of msp_profile_merge() and
 * msp_profile_closed().
 * Threads: any.
 */
MSP_API const struct msp_findings *
msp_profile_findings(const struct msp_profile *profile);

MSP_END_DECLS

#endif
