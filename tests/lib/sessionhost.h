/* SPDX-License-Identifier: MIT */
/*
 * sessionhost.h - a session, the hosts it asks, and a clock that goes on only
 * while the session waits: no test of it takes time.
 */
#ifndef MSP_TEST_SESSIONHOST_H
#define MSP_TEST_SESSIONHOST_H

#include <msp/session.h>

#include "tests/lib/keyhost.h" /* what a host says about keys */
#include "tests/lib/scripthost.h"

#define ASK_STATUS  "GET /secure-channel/status "
#define ASK_KEY	    "POST /secure-channel/key "
#define ASK_ATTEST  "POST /secure-channel/key/"
#define OK(body, n) "HTTP/1.1 200 OK\r\nContent-Length: " #n "\r\n\r\n" body
#define FORBIDDEN   "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

extern struct scripthost hosts;
extern struct msp_session *session;
extern struct msp_session_opts session_opts; /* of the next session */
extern uint64_t session_ms;		     /* what time it is */
extern unsigned int session_signals; /* waits that end with EINTR first */
extern int session_poll_errno;	     /* the next wait fails with it */
extern char session_dir[300];	     /* keys */
extern char session_events[4096];    /* texts, one a line */
extern unsigned int session_sockets; /* that were made */
extern bool session_refuses_sockets;

/* A fixture: hosts, a directory, options; no session yet. */
void session_setup(void);
void session_teardown(void);
/* A session of session_opts. */
void session_begin(void);
void session_end(void);

/* What a WireServer says. */
void wireserver(const char *begins, const char *text, unsigned int times);
/* It has no key yet, and gives and attests A, and names it from then on. */
void wireserver_gives_a(void);
/* A key file, as an earlier session left it. */
void session_saves(const char *guid);
/* GET of IMDS. */
int session_gets(const char *target, struct msp_document **out,
		 struct msp_error_info *info);
/* Was the last request to the endpoint signed with the key of that guid? */
bool session_signed(enum msp_endpoint endpoint, const char *guid);
/* Value of a header of it, as text; NULL: not there. Static. */
const char *session_sent(enum msp_endpoint endpoint, const char *name);

#endif
