/* SPDX-License-Identifier: MIT */
/*
 * host.h - what the host knows about its VM: key, modes, profiles, counters.
 *
 * Used by the loop's thread alone, hence no lock.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "call.h"

/** The two endpoints that have a rule item; HostGAPlugin has WireServer's. */
enum item { ITEM_WIRESERVER, ITEM_IMDS };
#define ITEMS 2

/**
 * struct host_item - policy of one endpoint
 * @json:   the rule item in wire form
 * @mode:   its mode
 * @inlined: made from a mode alone, no profile behind it
 */
struct host_item {
	struct buf json;
	enum msp_mode mode;
	bool inlined;
};

/**
 * struct host_counts - requests of one endpoint by verdict
 */
struct host_counts {
	uint64_t verified;
	uint64_t unsigned_;
	uint64_t bad;
};

/**
 * struct host - one VM
 * @enabled:     the channel as the VM model wants it
 * @offers_key:  false: acquire is refused
 * @status_v1:   the status is a document of version 1.0
 * @incarnation: of the key, only goes up
 * @skew:        seconds a signed request's date may be off
 * @items:       policy
 * @offered:     signer for a key handed out and not attested, or NULL
 * @offered_doc: its document, for the state file; wiped once latched
 * @latched:     signer for the latched key, or NULL
 * @raw_status:  served instead of the status document when @raw is set
 * @raw:         see there
 * @state_file:  where the latched key is kept, or NULL; borrowed
 * @counts:      per endpoint
 */
struct host {
	bool enabled;
	bool offers_key;
	bool status_v1;
	uint32_t incarnation;
	uint32_t skew;
	struct host_item items[ITEMS];
	struct msp_signer *offered;
	struct buf offered_doc;
	struct msp_signer *latched;
	struct buf raw_status;
	bool raw;
	const char *state_file;
	struct host_counts counts[MSP_ENDPOINTS];
};

/** What an attestation comes to. */
enum attested {
	ATTESTED,
	ATTEST_NO_KEY, /* nothing by that guid is waiting or latched */
	ATTEST_FAILED  /* signed, but it could not be written down */
};

/* Azure's implicit default: WireServer enforced, IMDS disabled. */
bool host_init(struct host *host);
void host_clear(struct host *host);

/* Name as in the status document, "imds" or "wireserver"; any case. */
bool host_item_named(const char *name, size_t len, enum item *out);
bool host_mode_named(const char *name, size_t len, enum msp_mode *out);
/* A rule item from its owner, checked by msp_profile_parse(). The same codes
 * and detail; on error nothing has changed. */
int host_set_item(struct host *host, enum item item, const char *json,
		  size_t len, struct msp_error_info *info);
/* Change the mode and nothing else, id included. */
bool host_set_mode(struct host *host, enum item item, enum msp_mode mode);

/* Does this endpoint refuse what is not verified now? */
bool host_enforces(const struct host *host, enum msp_endpoint endpoint);
void host_count(struct host *host, enum msp_endpoint endpoint, enum auth auth);

/* A new key for the guest; its document is added to out. False: none. */
bool host_offer(struct host *host, struct buf *out);
/* The signer to check an attestation for guid with, or NULL. */
struct msp_signer *host_attester(struct host *host, const char *guid,
				 size_t len);
/* The attestation was signed with the offered key: latch it. */
enum attested host_latch(struct host *host, struct msp_signer *signer);
/* Drop the key, raise the incarnation. False if that cannot be stored. */
bool host_reset(struct host *host);

/* The key status document (spec 5.2). */
void host_status(const struct host *host, struct buf *out);
/* What the control port tells; never the key. */
void host_state(const struct host *host, struct buf *out);

/* state.c: the file behind host->state_file. False, and errno or a text on
 * stderr; a file that is not there is a host without a key. */
bool state_load(struct host *host);
bool state_save(const struct host *host, const struct buf *key_doc);

#endif
