/* SPDX-License-Identifier: MIT */
/*
 * decision.h - rules x request x caller x endpoint -> verdict with reason.
 */
#ifndef MSP_DECISION_H
#define MSP_DECISION_H

#include <msp/caller.h>
#include <msp/request.h>
#include <msp/rules.h>

/** Zeroed memory denies. */
enum msp_verdict {
	MSP_DENY = 0,
	MSP_ALLOW = 1,
	MSP_ALLOW_AUDITED = 2 /* enforce would deny; mode audit forwards */
};

enum msp_reason {
	MSP_REASON_ERROR = 0,	   /* no decision could be made */
	MSP_REASON_UNKNOWN_CALLER = 1,
	MSP_REASON_DIRECT = 2,	   /* connected to the listener itself */
	MSP_REASON_NOT_ROOT = 3,   /* WireServer and HostGAPlugin are root's */
	MSP_REASON_CANON = 4,	   /* no canonical form; see canon */
	MSP_REASON_EXEMPT = 5,	   /* platform's own upload by root (6.6) */
	MSP_REASON_NO_RULES = 6,   /* no rule item is installed: allowed */
	MSP_REASON_DISABLED = 7,   /* the rules' mode is disabled: allowed */
	MSP_REASON_GRANTED = 8,	   /* a privilege and an identity matched */
	MSP_REASON_NO_IDENTITY = 9, /* a privilege matched, nobody assigned did */
	MSP_REASON_DEFAULT_ALLOW = 10,
	MSP_REASON_DEFAULT_DENY = 11
};

/**
 * struct msp_decision - the answer, and what led to it
 * @size:      in: sizeof(struct msp_decision); a longer one is fine
 * @verdict:   MSP_DENY unless everything speaks for another
 * @reason:    why
 * @canon:     rejection code if @reason is MSP_REASON_CANON
 * @mode:      mode of the rules used; MSP_MODE_ENFORCE without rules
 * @epoch:     epoch of the rules used, 0 without rules
 * @rule_id:   id of the rules used, "" without; borrowed from the rules
 * @privilege: name of the privilege that matched, or NULL; borrowed
 * @identity:  name of the identity that matched, or NULL; borrowed
 */
struct msp_decision {
	size_t size;
	enum msp_verdict verdict;
	enum msp_reason reason;
	enum msp_canon canon;
	enum msp_mode mode;
	uint64_t epoch;
	const char *rule_id;
	const char *privilege;
	const char *identity;
};

MSP_BEGIN_DECLS

/**
 * msp_decision_make - decide one request (spec 6.7, 8.1-8.4)
 * @out:      filled in; denies on error, left alone if its size is too small
 * @rules:    rules of the endpoint, or NULL if no item is installed
 * @endpoint: endpoint the client connected to, in the kernel's word
 * @request:  canonicalized request
 * @caller:   facts; names and MSP_CALLER_EXE_VERIFIED as far as
 *            msp_rules_needs() asks for them - what is missing does not match
 *
 * In this order: unknown, kernel or direct caller is denied; "//" and ".."
 * are denied, and so is what is no request that could be forwarded: a method
 * that is not allowed, a target of MSP_FORM_OTHER or code MSP_CANON_FORM, an
 * absolute form whose scheme or authority is not understood (it might name
 * another endpoint), all of which is msp_request_refused(); an exempt request of an elevated caller is allowed;
 * WireServer and HostGAPlugin refuse a caller that is not elevated - all of
 * these in every mode. Then rules: none, or mode disabled, allows; a canonical
 * code denies, and so does a query that could be read in two ways where a
 * privilege of the path asks for parameters; a matching privilege decides by
 * its identities; else the default. In mode audit a denial by rules or by
 * canonical form becomes MSP_ALLOW_AUDITED with the reason enforce would have
 * had.
 *
 * A query is read in two ways if a parameter that a privilege of this path
 * asks for is given twice (MSP_CANON_DUPLICATE_PARAM, reported first), or if
 * its value, or the name of any parameter, still holds a backslash or %HH
 * after decoding once (MSP_CANON_AMBIGUOUS).
 *
 * Selectors of an identity, all of which must match: userName is the name the
 * user database has for the real uid; groupName a group of that user in the
 * database, or one the process itself held (see struct msp_caller), and no
 * group at all if either has more than can be looked at; exePath and
 * processName need MSP_CALLER_EXE_VERIFIED, which a deleted or replaced
 * program has only together with MSP_CALLER_EXE_REPLACED, by an owner's choice
 * (msp_peer_verify_exe()).
 *
 * Of several privileges that grant, and several identities, the first in the
 * profile is named; without a grant the first privilege that matched.
 *
 * Threads: any; allocates nothing. Errors: MSP_ERR_INVAL (an argument is
 * missing, a size is too small, no such endpoint).
 */
MSP_API MSP_MUST_CHECK int
msp_decision_make(struct msp_decision *out, const struct msp_rules *rules,
		  enum msp_endpoint endpoint, const struct msp_request *request,
		  const struct msp_caller *caller);

struct msp_explanation;

/**
 * msp_decision_explain - the decision with its reasoning (explain.h)
 * @out:      new explanation, or NULL on error; free with
 *            msp_explanation_free()
 * @rules, @endpoint, @request, @caller: as msp_decision_make(); they may go
 *            away afterwards
 *
 * The decision is that of msp_decision_make(). The reasoning is found in
 * another way, privilege by privilege as the profile has them; should the two
 * not come to the same, that is a fault of the library, and an error.
 * Takes time in proportion to the rules times the parameters of the request.
 * Threads: any. Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_BUG.
 */
MSP_API MSP_MUST_CHECK int
msp_decision_explain(struct msp_explanation **out,
		     const struct msp_rules *rules, enum msp_endpoint endpoint,
		     const struct msp_request *request,
		     const struct msp_caller *caller);

/**
 * msp_verdict_name - "deny", "allow", "allow-audited"
 * @verdict: any number
 *
 * Returns a constant, "unknown" for what is no verdict. Threads: any.
 */
MSP_API const char *msp_verdict_name(enum msp_verdict verdict);

/**
 * msp_reason_name - "granted", "not-root", ...
 * @reason: any number
 *
 * Returns a constant, "unknown" for what is no reason. Threads: any.
 */
MSP_API const char *msp_reason_name(enum msp_reason reason);

MSP_END_DECLS

#endif
