/* SPDX-License-Identifier: MIT */
/*
 * fault.h - misbehaviour on command: which requests, what, how often.
 *
 * A fault is set by name, on the command line or over the control port:
 *
 *   --fault delay,ms=500,endpoint=wireserver,path=/secure-channel/status
 *   POST /faults {"name":"delay","ms":500,"endpoint":"wireserver",
 *                 "path":"/secure-channel/status","count":3}
 *
 * Where: vm (name), endpoint (wireserver, imds, hostga), method, path (any
 * letter case; a '*' at its end: whatever begins so; with a '?' in it the
 * query is compared, too). Left out: any, except for faults that concern the
 * key channel alone, which are set there. How often: count requests, or until
 * cleared. The first fault that fits a request, in the order they were set, is
 * the only one it meets; but the host's clock (clock-skew) is off for whatever
 * else it meets.
 *
 * A fault that finds nothing to spoil in an answer (a field that is not there)
 * leaves it alone, and the request does not count.
 */
#ifndef HOST_FAULT_H
#define HOST_FAULT_H

#include "net/call.h"

#include <yajl/yajl_tree.h>

/** Faults set at the same time, at most; those used up make room. */
#define FAULTS_MAX 256
/** Bytes of a text in a fault, at most. */
#define FAULT_TEXT_MAX 1024

struct faults;
struct fault;

struct faults *faults_new(void);
void faults_free(struct faults *faults);

/* One fault from a JSON object or from "name,key=value,...". Its number, or 0
 * and a sentence in error: which field, and why. */
uint64_t faults_add_json(struct faults *faults, yajl_val spec,
			 struct buf *error);
uint64_t faults_add_text(struct faults *faults, const char *spec,
			 struct buf *error);
/* number 0: all. False: there is none by that number. */
bool faults_remove(struct faults *faults, uint64_t number);
/* JSON array in the order set: each with all that is in force of it, its
 * number, what is left of count, and how many requests met it. */
void faults_list(const struct faults *faults, struct buf *out);

/* What this request meets, or NULL; counts. Once per complete request. */
const struct fault *faults_meet(struct faults *faults, const struct call *call);
/* The host's clock for this request: seconds to add (fault clock-skew), which
 * becomes call->fault if there is no other; counts. */
int64_t faults_skew(struct faults *faults, struct call *call);
const char *fault_name(const struct fault *fault);
/* Instead of handling the request: true, and it is answered. For those that
 * make the host not do its work (handled=false). */
bool fault_before(const struct fault *fault, struct call *call);
/* Spoil the answer: its status and body, or, by call->script, how its bytes
 * go out. Without effect call->fault is NULL afterwards. */
void fault_after(const struct fault *fault, struct call *call);

/* GET, POST and DELETE /faults, DELETE /faults/N of the control port */
void faults_call(struct call *call);

#endif
