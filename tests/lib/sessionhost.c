/* SPDX-License-Identifier: MIT */
/*
 * In: what the hosts say. Out: a session that hears it. Must never let real
 * time count: a wait in which nothing comes ends at once, its time over.
 */
#include "tests/lib/sessionhost.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/scratch.h"

struct scripthost hosts;
struct msp_session *session;
struct msp_session_opts session_opts;
uint64_t session_ms;
unsigned int session_signals;
int session_poll_errno;
char session_dir[300];
char session_events[4096];
unsigned int session_sockets;
bool session_refuses_sockets;

static void tell_time(void *arg, struct msp_time *out)
{
	ck_assert_ptr_eq(arg, &hosts);
	out->boot_ms = session_ms;
	out->wall_s = WALL + (int64_t)session_ms / 1000;
}

static void note_event(void *arg, const char *text)
{
	size_t n = strlen(session_events);

	ck_assert_ptr_eq(arg, &hosts);
	ck_assert_ptr_null(strchr(text, '\n'));
	snprintf(session_events + n, sizeof(session_events) - n, "%s\n", text);
}

static int note_socket(void *arg, int fd)
{
	ck_assert_ptr_eq(arg, &hosts);
	ck_assert_int_ge(fd, 0);
	session_sockets++;
	return session_refuses_sockets ? -1 : 0;
}

void session_setup(void)
{
	struct msp_session_opts o = { .size = sizeof(o) };

	scripthost_open(&hosts);
	snprintf(session_dir, sizeof(session_dir), "%s/keys", scratch_make());
	o.directory = session_dir;
	o.directory_len = strlen(session_dir);
	memcpy(o.endpoints, hosts.address, sizeof(o.endpoints));
	o.arg = &hosts;
	o.on_time = tell_time;
	o.on_event = note_event;
	o.on_socket = note_socket;
	session_opts = o;
	session_ms = 1000;
	session_signals = 0;
	session_poll_errno = 0;
	session_events[0] = '\0';
	session_sockets = 0;
	session_refuses_sockets = false;
}

void session_end(void)
{
	msp_session_free(session);
	session = NULL;
}

void session_teardown(void)
{
	session_end();
	scripthost_close(&hosts);
	scratch_remove();
	ck_assert_int_eq(failalloc_live(), 0);
}

void session_begin(void)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	session_end();
	ck_assert_msg(msp_session_new(&session, &session_opts, &info) == 0,
		      "%s", info.text);
}

/* ---- what hosts say ---------------------------------------------------- */

void wireserver(const char *begins, const char *text, unsigned int times)
{
	struct script_line line = { MSP_ENDPOINT_WIRESERVER, begins, text,
				    THEN_CLOSE, times };

	scripthost_add(&hosts, line);
}

void wireserver_gives_a(void)
{
	wireserver(ASK_STATUS, ENABLED_NO_KEY, 1);
	wireserver(ASK_KEY, KEY(GUID_A), 1);
	wireserver(ASK_ATTEST, HEAD, 1);
	wireserver(ASK_STATUS, ENABLED(GUID_A), 0);
}

static struct msp_key *key_of(const char *guid)
{
	struct msp_key *key;

	ck_assert_int_eq(
		msp_key_new(&key, guid, strlen(guid), KEY_HEX, strlen(KEY_HEX)),
		0);
	return key;
}

void session_saves(const char *guid)
{
	struct msp_keystore *disk;
	struct msp_key *key = key_of(guid);

	ck_assert_int_eq(msp_keystore_open(&disk, session_dir,
					   strlen(session_dir), NULL),
			 0);
	ck_assert_int_eq(msp_keystore_save(disk, key, NULL), 0);
	msp_keystore_free(disk);
	msp_key_free(key);
}

int session_gets(const char *target, struct msp_document **out,
		 struct msp_error_info *info)
{
	return msp_session_get(session, out, MSP_ENDPOINT_IMDS, target,
			       strlen(target), info);
}

/* ---- what they were asked ---------------------------------------------- */

/* Header lines of a request; target and method as well. */
static struct msp_message parse(const char *text, struct msp_header *headers)
{
	struct msp_message m = { .size = sizeof(m), .headers = headers };
	const char *at = strchr(text, ' ');

	m.method = text;
	m.method_len = (size_t)(at - text);
	m.target = at + 1;
	m.target_len = strcspn(m.target, " ");
	for (at = strstr(at, "\r\n") + 2; *at != '\r';
	     at = strstr(at, "\r\n") + 2) {
		struct msp_header *h = &headers[m.n_headers++];

		h->name = at;
		h->name_len = strcspn(at, ":");
		h->value = at + h->name_len + 2;
		h->value_len = strcspn(h->value, "\r");
	}
	m.body = at + 2;
	m.body_len = strlen(at + 2);
	return m;
}

bool session_signed(enum msp_endpoint endpoint, const char *guid)
{
	struct msp_header headers[MSP_MAX_HEADERS + 2];
	struct msp_message m = parse(hosts.last[endpoint], headers);
	const struct msp_header *last = &headers[m.n_headers - 1];
	struct msp_key *key = key_of(guid);
	struct msp_signer *signer;
	bool valid = false;

	ck_assert_int_eq(msp_signer_new(&signer, key), 0);
	if (strncmp(last->name, MSP_HEADER_AUTHORIZATION, last->name_len) == 0)
		ck_assert_int_eq(msp_signer_verify(signer, &valid, &m,
						   last->value,
						   last->value_len),
				 0);
	msp_signer_free(signer);
	msp_key_free(key);
	return valid;
}

const char *session_sent(enum msp_endpoint endpoint, const char *name)
{
	struct msp_header headers[MSP_MAX_HEADERS + 2];
	struct msp_message m = parse(hosts.last[endpoint], headers);
	static char value[256];
	size_t i;

	for (i = 0; i < m.n_headers; i++) {
		if (headers[i].name_len != strlen(name) ||
		    strncmp(headers[i].name, name, strlen(name)) != 0)
			continue;
		snprintf(value, sizeof(value), "%.*s",
			 (int)headers[i].value_len, headers[i].value);
		return value;
	}
	return NULL;
}
