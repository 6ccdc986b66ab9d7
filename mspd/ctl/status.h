/* SPDX-License-Identifier: MIT */
/*
 * status.h - what the files of the command status share: what the agent says
 * of itself, and what is left of one that does not run.
 */
#ifndef MSPD_CTL_STATUS_H
#define MSPD_CTL_STATUS_H

#include <limits.h>

#include "mspd/config.h"
#include "mspd/ctl/audit_line.h"
#include "mspd/ctl/json.h"
#include "mspd/ctl/screen.h"

/** The last records of the trail that are shown. */
#define CTL_KNOWN_RECORDS 3

/**
 * struct ctl_known_file - one that was looked at
 * @path:  of it; "": there is none
 * @error: errno why it could not be, 0: it was
 * @age_s: since it was written
 */
struct ctl_known_file {
	char path[PATH_MAX];
	int error;
	uint64_t age_s;
};

/**
 * struct ctl_known - what the files of an agent tell of it
 * @status:   status.json
 * @document: what it has, NULL: nothing that can be read; owned
 * @key:      the newest file of a key, which was not opened
 * @guid:     its name
 * @open:     others than root could read it
 * @listener: the file that tells where the agent listens; an agent that ends
 *            removes it
 * @address:  what it says
 * @trail:    audit.jsonl
 * @records:  its last ones, the newest first; owned
 * @n:        how many
 */
struct ctl_known {
	struct ctl_known_file status;
	yajl_val document;
	struct ctl_known_file key;
	char guid[MSP_GUID_LEN + 1];
	bool open;
	struct ctl_known_file listener;
	char address[32];
	struct ctl_known_file trail;
	char *records[CTL_KNOWN_RECORDS];
	size_t n;
};

void ctl_known_look(struct ctl_known *out, const struct mspd_config *config);
void ctl_known_free(struct ctl_known *known);

/* ---- to be shown -------------------------------------------------------- */

/** Column where what a line tells begins. */
#define CTL_STATUS_BODY 12

/* The answer to `status`; and the parts of it that are about the agent itself,
 * and about requests. */
void ctl_status_show_agent(struct ctl_screen *screen, yajl_val document);
void ctl_status_show_requests(struct ctl_screen *screen, yajl_val document);
void ctl_status_show(struct ctl_screen *screen, yajl_val document);
/* @why: there is no answer. @gone: because nobody listens. */
void ctl_status_show_known(struct ctl_screen *screen,
			   const struct ctl_known *known, bool gone,
			   const char *why);
/* The same as an object: members running, healthy, why and known. */
void ctl_status_put_known(struct ctl_text *out, const struct ctl_known *known,
			  bool gone, const char *why);

/* 0: it is absent, too. */
int64_t ctl_status_number(yajl_val from, const char *name);
/* "42 s", "3 h 12 min" */
#define CTL_AGE 32
void ctl_status_age(char out[CTL_AGE], int64_t seconds);

#endif
