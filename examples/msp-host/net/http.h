/* SPDX-License-Identifier: MIT */
/*
 * http.h - libmicrohttpd behind a narrow door: it is given connected sockets
 * and hands complete calls to route_call().
 */
#ifndef HOST_HTTP_H
#define HOST_HTTP_H

#include "net/call.h"

#include <netinet/in.h>

/** A client that is silent for so long is cut off. */
#define HTTP_SILENCE_SECONDS 60

struct http;

/* NULL on error */
struct http *http_open(struct emulator *emu);
void http_close(struct http *http);
/* A new connection; takes the socket, also when it fails. */
bool http_adopt(struct http *http, int fd, const struct peer *peer,
		const struct sockaddr_in *address);
/* Do what can be done; once per turn of the loop. */
void http_run(struct http *http);
/* Milliseconds until http_run() is due at the latest, -1: no limit. */
int http_timeout(struct http *http);

/* admit.c: is the head of this request one that can be read in one way only?
 * If not it is answered, and the connection ends. */
bool admit_head(struct call *call, const char *version);

#endif
