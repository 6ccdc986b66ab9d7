/* SPDX-License-Identifier: MIT */
/*
 * telemetry_priv.h - the parts of telemetry: what it says of the machine, the
 * documents it sends, the files it keeps, and the host's documents.
 */
#ifndef MSPD_TELEMETRY_PRIV_H
#define MSPD_TELEMETRY_PRIV_H

#include <msp/msp.h>

#include "mspd/event.h"
#include "mspd/telemetry.h"

/** A batch is shorter than this (spec 9.2). */
#define MSPD_BATCH_MAX 65536
/** Largest document of the host that is read. */
#define MSPD_DOCUMENT_MAX (1024 * 1024)
#define MSPD_VM_TEXT	  256
/** Longest target a goal state may give. */
#define MSPD_VM_TARGET 2048
/** Most files of reports. */
#define MSPD_REPORT_FILES 1000

/**
 * struct mspd_vm - what each event says of the machine; UTF-8, "" if unknown
 * @image: was it made from an image of the marketplace?
 */
struct mspd_vm {
	char container[MSPD_VM_TEXT];
	char tenant[MSPD_VM_TEXT];
	char role[MSPD_VM_TEXT];
	char instance[MSPD_VM_TEXT];
	char subscription[MSPD_VM_TEXT];
	char group[MSPD_VM_TEXT];
	char vm_id[MSPD_VM_TEXT];
	bool image;
	char os[MSPD_VM_TEXT];
	char arch[MSPD_VM_TEXT];
	uint64_t ram_mb;
	uint64_t processors;
};

/* ---- telemetry_scan.c: documents of the host --------------------------- */

/**
 * mspd_xml_text - text of the first element of this name
 * @out: without the blanks around it, entities replaced; "" on failure
 *
 * Only what these documents need: no DOCTYPE, no text that is split up.
 * Linear in @len. False if there is none, or it does not fit or is no text.
 */
bool mspd_xml_text(const char *doc, size_t len, const char *element, char *out,
		   size_t size);

/* The same, of an attribute of the first element of that name. */
bool mspd_xml_attribute(const char *doc, size_t len, const char *element,
			const char *attribute, char *out, size_t size);

/* Container and address of the shared configuration. */
bool mspd_vm_goal(struct mspd_vm *vm, const char *doc, size_t len, char *url,
		  size_t url_size);
/* Tenant, role, instance. */
bool mspd_vm_shared(struct mspd_vm *vm, const char *doc, size_t len);
/* What IMDS knows: subscription, group, id, image. */
bool mspd_vm_compute(struct mspd_vm *vm, const char *doc, size_t len);
/* What the machine itself knows: system, memory, processors. */
void mspd_vm_local(struct mspd_vm *vm);

/**
 * mspd_url_target - "http://HOST:PORT/PATH" -> "/PATH"
 *
 * NULL unless it is at @address: a goal state sends nobody elsewhere, least of
 * all with a signature.
 */
const char *mspd_url_target(const char *url, const struct msp_address *address);

/* ---- telemetry_batch.c: documents we send ------------------------------ */

enum mspd_batch_result {
	MSPD_BATCH_ADDED,
	MSPD_BATCH_FULL,     /* the next batch has room for it */
	MSPD_BATCH_TOO_LARGE /* no batch has */
};

struct mspd_batch;

/* NULL: no memory. */
struct mspd_batch *mspd_batch_new(void);
void mspd_batch_free(struct mspd_batch *batch);
/* Begin an empty one about this machine; borrowed until it is finished. */
void mspd_batch_start(struct mspd_batch *batch, const struct mspd_vm *vm);
/* Append an event, without secrets. */
enum mspd_batch_result mspd_batch_add(struct mspd_batch *batch,
				      const struct mspd_event *event);
/* The whole document, borrowed until the next start; NULL if it is empty. */
const char *mspd_batch_finish(struct mspd_batch *batch, size_t *len);

/* ---- telemetry_files.c: events that are kept --------------------------- */

/**
 * mspd_event_files_write - keep what a queue holds; it is empty afterwards
 * @dir: made if it is missing; "": nothing is kept
 * @max: files of generic events there may be
 * Without secrets. Returns how many events were dropped. Blocks.
 */
size_t mspd_event_files_write(const char *dir, uint32_t max,
			      struct mspd_events *queue);

/**
 * mspd_event_files_read - the events of the oldest file, which is removed
 * @kind: of which files
 * @out:  gets them; what does not fit is dropped
 * @dropped: how many events were in the file and are lost; one, if what is
 *           wrong with it hides how many there were
 * False: there is none, or it cannot be removed. Blocks.
 */
bool mspd_event_files_read(const char *dir, enum mspd_event_kind kind,
			   struct mspd_events *out, size_t *dropped);

/* ---- telemetry_host.c: calls to the host ------------------------------- */

/**
 * struct mspd_host - how to call it; one thread
 * @opts:   of the telemetry
 * @policy: held; of it the key
 * @wait:   waits until a descriptor (or -1) is ready or the time (boot_ms) has
 *          come; false: do not go on
 * @arg:    passed to it
 */
struct mspd_host {
	struct mspd_telemetry_opts opts;
	struct mspd_policy *policy;
	bool (*wait)(void *arg, int fd, short events, uint64_t until_ms);
	void *arg;
};

/* Of two clocks now. */
struct msp_time mspd_host_time(void);

/**
 * mspd_host_metadata - ask WireServer and IMDS about this machine
 * @vm: replaced if all of it was told
 * Signed with the key that clients' requests are signed with, if there is one
 * (fix Q29). Returns whether it was.
 */
bool mspd_host_metadata(struct mspd_host *host, struct mspd_vm *vm);

/* Hand a batch over, unsigned. Returns whether it was taken. */
bool mspd_host_post(struct mspd_host *host, const char *body, size_t len);

/* Of what it holds. */
void mspd_host_close(struct mspd_host *host);

#endif
