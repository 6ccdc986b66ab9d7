/* SPDX-License-Identifier: MIT */
/*
 * In:  connected sockets.
 * Out: calls, routed when they are complete, and their answers on the socket.
 * Never: trusts the library's decoded view; only the raw target, the header
 *        lines in order and the body are used.
 */
#include "net/http.h"

#include "emulator.h"
#include "net/head.h"
#include "net/route.h"
#include "net/script.h"
#include "net/wire.h"
#include "vm/journal.h"
#include "vm/record.h"
#include "vm/vms.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Room for a request line and head of the largest allowed size. */
#define POOL_BYTES (256 * 1024)
/* The wire counts; the library notices later that one has ended. */
#define CONNECTIONS_MAX (2 * WIRE_MAX_CONNECTIONS)
#define STREAM_PIECE	16384

/**
 * struct newborn - a connection the library has not announced yet
 * @fd:   its socket, the library's from now on
 * @peer: becomes the connection's
 * @next: in the list
 */
struct newborn {
	int fd;
	struct peer *peer;
	struct newborn *next;
};

/**
 * struct http
 * @emu:      borrowed
 * @daemon:   owned
 * @watch:    of the library's own epoll set
 * @newborns: not announced yet; owned
 * @waiting:  calls that are answered together; the library's
 */
struct http {
	struct emulator *emu;
	struct MHD_Daemon *daemon;
	struct loop_watch watch;
	struct newborn *newborns;
	struct call *waiting;
};

/* The library's set is ready: http_run() follows in the same turn. */
static void ready(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
}

static struct peer *claim(struct http *http, int fd)
{
	struct newborn **p, *found;
	struct peer *peer = NULL;

	for (p = &http->newborns; *p; p = &(*p)->next) {
		if ((*p)->fd != fd)
			continue;
		found = *p;
		*p = found->next;
		peer = found->peer;
		free(found);
		break;
	}
	return peer;
}

static void on_connection(void *cls, struct MHD_Connection *connection,
			  void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		free(*context);
		*context = NULL;
		return;
	}
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info)
		*context = claim(cls, info->connect_fd);
}

static void *on_target(void *cls, const char *target,
		       struct MHD_Connection *connection)
{
	struct http *http = cls;
	struct call *call = call_new(http->emu, target);
	char *query = strchr((char *)(uintptr_t)target, '?');

	(void)connection;
	/* the library would put each parameter into its pool, and where they
	 * do not fit nobody gets an answer; it has yet to look for them in
	 * this text, in its own buffer */
	if (query && query[1])
		query[1] = '\0';
	return call;
}

/* How much of what the client sent was this request. Of one in chunks that is
 * not known; the wire then knows that it does not know. */
static void tell_wire(struct http *http, struct MHD_Connection *connection,
		      const struct call *call)
{
	const union MHD_ConnectionInfo *head;

	head = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	if (head && call->begun && call->peer)
		wire_answered(http->emu->wire, call->peer->number,
			      head->header_size + call->body_len);
}

static void on_completed(void *cls, struct MHD_Connection *connection,
			 void **context, enum MHD_RequestTerminationCode code)
{
	if (*context && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		tell_wire(cls, connection, *context);
	call_free(*context);
	*context = NULL;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind,
				 const char *name, size_t name_len,
				 const char *value, size_t value_len)
{
	struct call *call = cls;
	struct msp_header *h;

	(void)kind;
	/* counted by the caller, too */
	if (call->n_headers == MSP_MAX_HEADERS)
		return MHD_NO;
	h = &call->headers[call->n_headers++];
	h->name = name;
	h->name_len = name_len;
	h->value = value ? value : "";
	h->value_len = value ? value_len : 0;
	return MHD_YES;
}

static void free_body(void *cls)
{
	struct buf *body = cls;

	buf_clear(body);
	free(body);
}

/* The body moves into the response, which wipes it: it may be a key. */
static struct MHD_Response *plain_response(struct reply *reply)
{
	struct MHD_Response *response;
	struct buf *body;

	if (!reply->body.len)
		return MHD_create_response_from_buffer(0, NULL,
						       MHD_RESPMEM_PERSISTENT);
	body = malloc(sizeof(*body));
	if (!body)
		return NULL;
	*body = reply->body;
	memset(&reply->body, 0, sizeof(reply->body));
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		body->len, body->data, free_body, body);
	if (!response)
		free_body(body);
	return response;
}

static ssize_t generate(void *cls, uint64_t position, char *out, size_t max)
{
	const uint64_t *count = cls;
	size_t i;

	if (position >= *count)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (max > *count - position)
		max = (size_t)(*count - position);
	for (i = 0; i < max; i++)
		out[i] = (char)((position + i) % 251);
	return (ssize_t)max;
}

static struct MHD_Response *stream_response(const struct reply *reply)
{
	struct MHD_Response *response;
	uint64_t *count = malloc(sizeof(*count));

	if (!count)
		return NULL;
	*count = reply->count;
	response = MHD_create_response_from_callback(
		reply->chunked ? MHD_SIZE_UNKNOWN : reply->count, STREAM_PIECE,
		generate, count, free);
	if (!response)
		free(count);
	return response;
}

static bool add_line(void *ctx, const char *name, const char *value)
{
	return MHD_add_response_header(ctx, name, value) == MHD_YES;
}

static enum MHD_Result
answer(struct http *http, struct MHD_Connection *connection, struct call *call)
{
	struct reply *reply = &call->reply;
	struct MHD_Response *response = NULL;
	enum MHD_Result result = MHD_NO;

	if (reply->body.failed || reply->allow.failed || reply->etag.failed ||
	    !reply->status)
		call_error(call, 500, "memory", "out of memory");
	if (!reply->body.failed && !call->script)
		response = reply->stream ? stream_response(reply)
					 : plain_response(reply);
	/* before the first byte of the answer: tests read the log after it */
	record_request(http->emu->log, call, reply->status);
	journal_add(http->emu->journal, call, reply->status);
	if (call->script) {
		/* the library is left; the wire has the client */
		wire_play(http->emu->wire, call->peer->number, call->script);
		call->script = NULL;
	} else if (response &&
		   head_lines(call, reply->close, add_line, response))
		result =
			MHD_queue_response(connection, reply->status, response);
	if (response)
		MHD_destroy_response(response);
	return result;
}

/* The library takes blanks off the front only; those at the end are no part
 * of a value either (RFC 9110 5.5), and a signature is not over them. Not
 * before the framing was looked at: there the library acts on what it has. */
static void trim_values(struct call *call)
{
	size_t i;

	for (i = 0; i < call->n_headers; i++) {
		struct msp_header *h = &call->headers[i];

		while (h->value_len && (h->value[h->value_len - 1] == ' ' ||
					h->value[h->value_len - 1] == '\t'))
			h->value_len--;
	}
}

/* The head is complete: read it and decide whether the body is wanted. */
static bool begin(struct MHD_Connection *connection, struct call *call,
		  const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info;
	int n;

	call->begun = true;
	call->method = method;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (!info || !info->socket_context)
		return false;
	call->peer = info->socket_context;
	call->now = loop_wall_s();
	if (call->peer->port != PORT_CONTROL) {
		call->vm = vms_at(call->emu->vms, call->peer->source);
		if (!call->vm)
			return false;
	}
	n = MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header,
					call);
	if (n < 0 || (size_t)n != call->n_headers) {
		call->reply.close = true;
		call_error(call, 431, "headers", "too many header lines");
		return true;
	}
	if (admit_head(call, version))
		trim_values(call);
	return true;
}

/* The library asks for its answer again when it is resumed. */
static enum MHD_Result
hold(struct http *http, struct MHD_Connection *connection, struct call *call)
{
	MHD_suspend_connection(connection);
	call->library = connection;
	call->next = http->waiting;
	http->waiting = call;
	return MHD_YES;
}

static void settle(struct http *http)
{
	struct call *call = http->waiting;

	http->waiting = NULL;
	channel_settle(call);
	for (; call; call = call->next)
		MHD_resume_connection(call->library);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *len, void **context)
{
	struct http *http = cls;
	struct call *call = *context;

	(void)url;
	if (!call)
		return MHD_NO;
	if (!call->begun) {
		if (!begin(connection, call, method, version))
			return MHD_NO;
		return call->reply.status ? answer(http, connection, call)
					  : MHD_YES;
	}
	if (*len) {
		bool ok = call_take(call, data, *len);

		*len = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	if (!call->waits)
		route_call(call);
	if (call->waits && !call->reply.status)
		return hold(http, connection, call);
	return answer(http, connection, call);
}

struct http *http_open(struct emulator *emu)
{
	const union MHD_DaemonInfo *info = NULL;
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->emu = emu;
	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			MHD_ALLOW_SUSPEND_RESUME,
		0, NULL, NULL, on_request, http, MHD_OPTION_URI_LOG_CALLBACK,
		on_target, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
		http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)HTTP_SILENCE_SECONDS,
		MHD_OPTION_END);
	if (http->daemon)
		info = MHD_get_daemon_info(http->daemon,
					   MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		goto fail;
	http->watch.fd = info->epoll_fd;
	http->watch.ready = ready;
	if (loop_want(&emu->loop, &http->watch, EPOLLIN) < 0)
		goto fail;
	return http;
fail:
	http_close(http);
	return NULL;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	loop_want(&http->emu->loop, &http->watch, 0);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	while (http->newborns)
		free(claim(http, http->newborns->fd));
	free(http);
}

bool http_adopt(struct http *http, int fd, const struct peer *peer,
		const struct sockaddr_in *address)
{
	struct newborn *newborn = malloc(sizeof(*newborn));
	struct peer *copy = malloc(sizeof(*copy));

	if (!newborn || !copy) {
		free(newborn);
		free(copy);
		close(fd);
		return false;
	}
	*copy = *peer;
	newborn->fd = fd;
	newborn->peer = copy;
	newborn->next = http->newborns;
	http->newborns = newborn;
	if (MHD_add_connection(http->daemon, fd,
			       (const struct sockaddr *)address,
			       sizeof(*address)) == MHD_YES)
		return true;
	free(claim(http, fd));
	return false;
}

void http_run(struct http *http)
{
	MHD_run(http->daemon);
	while (http->waiting) {
		settle(http);
		/* what was resumed is only looked at in here */
		MHD_run(http->daemon);
	}
}

int http_timeout(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
		return -1;
	return ms > 60000 ? 60000 : (int)ms;
}
