/* SPDX-License-Identifier: MIT */
/*
 * imds.h - what the parts of the instance metadata service share.
 */
#ifndef HOST_IMDS_H
#define HOST_IMDS_H

#include "vm/vm.h"

#define JSON_TYPE "application/json; charset=utf-8"

/** Room for "2021-02-01" */
#define IMDS_VERSION_SIZE 11

/* The api-version of the call; answered and false if it is missing, unknown,
 * or older than since. */
bool imds_version(struct call *call, const char *since,
		  char out[IMDS_VERSION_SIZE]);
/* The same for a part with its own list, newest first, ended by NULL. */
bool imds_version_of(struct call *call, const char *const *list,
		     const char *since, char out[IMDS_VERSION_SIZE]);
/* {"error":"text"}, a 400 with "Bad request. " before it; below
 * /metadata/identity {"error":"code","error_description":"text"} */
void imds_error(struct call *call, unsigned int status, const char *text);

/* document.c: /metadata/instance and below. */
void document_call(struct call *call);
/* identity.c: /metadata/identity */
void token_call(struct call *call);
void info_call(struct call *call);

/* attested.c: /metadata/attested/document */
void attested_call(struct call *call);

/* events.c: /metadata/scheduledevents */
void scheduledevents_call(struct call *call);
void acknowledge_call(struct call *call);

#endif
