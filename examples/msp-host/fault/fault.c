/* SPDX-License-Identifier: MIT */
/*
 * In:  faults as they were asked for, requests.
 * Out: which request meets which.
 * Never: grows without bound, or lets a request meet two.
 */
#include "fault/kind.h"

#include "emulator.h"
#include "net/script.h"
#include "vm/vm.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

TAILQ_HEAD(fault_queue, fault);

/**
 * struct faults
 * @all:      in the order they were set
 * @n:        how many
 * @numbered: faults so far
 */
struct faults {
	struct fault_queue all;
	size_t n;
	uint64_t numbered;
};

struct faults *faults_new(void)
{
	struct faults *faults = calloc(1, sizeof(*faults));

	if (faults)
		TAILQ_INIT(&faults->all);
	return faults;
}

static void drop(struct faults *faults, struct fault *fault)
{
	TAILQ_REMOVE(&faults->all, fault, link);
	faults->n--;
	fault_free(fault);
}

void faults_free(struct faults *faults)
{
	if (!faults)
		return;
	faults_remove(faults, 0);
	free(faults);
}

static bool is_over(const struct fault *fault)
{
	return fault->given[FIELD_COUNT] && !fault->left;
}

/* The oldest that was used up is of no use but for its count of requests. */
static bool make_room(struct faults *faults)
{
	struct fault *f;

	if (faults->n < FAULTS_MAX)
		return true;
	TAILQ_FOREACH (f, &faults->all, link) {
		if (is_over(f)) {
			drop(faults, f);
			return true;
		}
	}
	return false;
}

/* Takes the fault. */
static uint64_t add(struct faults *faults, struct fault *fault,
		    struct buf *error)
{
	if (!fault)
		return 0;
	if (!make_room(faults)) {
		buf_format(error, "%d faults are set already", FAULTS_MAX);
		fault_free(fault);
		return 0;
	}
	fault->number = ++faults->numbered;
	TAILQ_INSERT_TAIL(&faults->all, fault, link);
	faults->n++;
	return fault->number;
}

uint64_t faults_add_json(struct faults *faults, yajl_val spec,
			 struct buf *error)
{
	return add(faults, fault_from_json(spec, error), error);
}

uint64_t faults_add_text(struct faults *faults, const char *spec,
			 struct buf *error)
{
	return add(faults, fault_from_text(spec, error), error);
}

bool faults_remove(struct faults *faults, uint64_t number)
{
	struct fault *f, *next;

	for (f = TAILQ_FIRST(&faults->all); f; f = next) {
		next = TAILQ_NEXT(f, link);
		if (number && f->number != number)
			continue;
		drop(faults, f);
		if (number)
			return true;
	}
	return !number;
}

void faults_list(const struct faults *faults, struct buf *out)
{
	const struct fault *f;

	buf_text(out, "[");
	TAILQ_FOREACH (f, &faults->all, link) {
		buf_text(out, f == TAILQ_FIRST(&faults->all) ? "{" : ",{");
		fault_write(f, out);
		buf_text(out, "}");
	}
	buf_text(out, "]");
}

/* text begins with want, or is it if exact, in any letter case */
static bool begins(const char **text, const char *want, size_t len)
{
	if (strncasecmp(*text, want, len))
		return false;
	*text += len;
	return true;
}

/* Compared piece by piece, because path and query are apart. */
static bool fits_path(const struct call *call, const char *want)
{
	size_t len = strlen(want);
	const char *mark = strchr(want, '?');
	const char *rest = call->path;
	bool open = len && want[len - 1] == '*';

	if (open)
		len--;
	if (!mark)
		return begins(&rest, want, len) && (open || !*rest);
	if (!begins(&rest, want, (size_t)(mark - want)) || *rest)
		return false;
	rest = call->query ? call->query : "";
	len -= (size_t)(mark + 1 - want);
	return begins(&rest, mark + 1, len) && (open || !*rest);
}

static bool fits(const struct fault *f, const struct call *call)
{
	if (is_over(f))
		return false;
	if (f->given[FIELD_VM] &&
	    strcasecmp(call->vm->who.name, f->text[FIELD_VM]))
		return false;
	if (f->given[FIELD_ENDPOINT] &&
	    f->value[FIELD_ENDPOINT] != (int64_t)call->peer->port)
		return false;
	if (f->given[FIELD_METHOD] &&
	    strcasecmp(call->method, f->text[FIELD_METHOD]))
		return false;
	return !f->given[FIELD_PATH] || fits_path(call, f->text[FIELD_PATH]);
}

static struct fault *meet(struct faults *faults, const struct call *call,
			  bool skews)
{
	struct fault *f;

	TAILQ_FOREACH (f, &faults->all, link) {
		if (f->kind->skews != skews || !fits(f, call))
			continue;
		f->hits++;
		if (f->given[FIELD_COUNT])
			f->left--;
		return f;
	}
	return NULL;
}

const struct fault *faults_meet(struct faults *faults, const struct call *call)
{
	return meet(faults, call, false);
}

int64_t faults_skew(struct faults *faults, struct call *call)
{
	const struct fault *f = meet(faults, call, true);

	if (!f)
		return 0;
	if (!call->fault)
		call->fault = f;
	return f->value[FIELD_SECONDS];
}

/* It did not happen after all. */
static void take_back(struct faults *faults, struct call *call)
{
	struct fault *f;

	TAILQ_FOREACH (f, &faults->all, link) {
		if (f == call->fault) {
			f->hits--;
			f->left += f->given[FIELD_COUNT];
		}
	}
	call->fault = NULL;
}

const char *fault_name(const struct fault *fault)
{
	return fault->kind->name;
}

static bool takes_handled(const struct fault *fault)
{
	const struct takes *t = fault->kind->takes;

	while (t->field && t->field != FIELD_HANDLED)
		t++;
	return t->field;
}

bool fault_before(const struct fault *fault, struct call *call)
{
	if (!takes_handled(fault) || fault->value[FIELD_HANDLED])
		return false;
	/* what is left of an answer where one can be seen */
	call_error(call, 503, "fault", "the host did not do its work");
	fault_after(fault, call);
	return true;
}

void fault_after(const struct fault *fault, struct call *call)
{
	bool spoilt = fault->kind->spoil(fault, call);
	struct script *script = call->script;

	if (script && (script->bytes.failed || script->tail.failed)) {
		script_free(script);
		call->script = NULL;
		spoilt = false;
	}
	if (!spoilt)
		take_back(call->emu->faults, call);
}
