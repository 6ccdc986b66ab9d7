/* SPDX-License-Identifier: MIT */
/*
 * In: addresses of endpoints. Out: what comes back from each, and where the
 * kernel had the connection go. Must never wait longer than told.
 */
#include "mspd/ctl/probe.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mspd/listener.h"

/* By enum msp_endpoint. */
static const char *const targets[MSP_ENDPOINTS] = {
	[MSP_ENDPOINT_WIRESERVER] = "/?comp=versions",
	[MSP_ENDPOINT_IMDS] = "/metadata/versions",
	[MSP_ENDPOINT_HOSTGA] = "/versions",
};

/* ---- asking ------------------------------------------------------------- */

static struct msp_time now(void)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (struct msp_time){ (uint64_t)boot.tv_sec * 1000 +
					  (uint64_t)boot.tv_nsec / 1000000,
				  time(NULL) };
}

static int keep_socket(void *arg, int fd)
{
	struct ctl_probe *p = arg;

	if (p->fd >= 0)
		close(p->fd);
	p->fd = dup(fd);
	return 0;
}

static struct msp_header header(const char *name, const char *value)
{
	return (struct msp_header){ name, strlen(name), value, strlen(value) };
}

static int send_question(struct msp_client *client, const char *target,
			 const struct msp_address *to,
			 struct msp_error_info *info)
{
	char host[MSPD_LISTENER_TEXT];
	struct msp_header headers[2];
	struct msp_message message = {
		.size = sizeof(message),
		.method = "GET",
		.method_len = 3,
		.target = target,
		.target_len = strlen(target),
		.headers = headers,
		.n_headers = 2,
	};

	mspd_listener_text(to, host);
	host[strcspn(host, ":")] = '\0';
	headers[0] = header("Host", host);
	headers[1] = header("Metadata", "true");
	return msp_client_send(client, now(), &message, 0, NULL, info);
}

static int64_t parse_date(const char *value, size_t len)
{
	char text[64];
	struct tm tm = { 0 };

	snprintf(text, sizeof(text), "%.*s", (int)len, value);
	return strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? timegm(&tm)
								: 0;
}

static void take_answer(struct ctl_probe *p, const struct msp_response *answer)
{
	static const char passed[] = "x-ms-azure-host-authorization";
	size_t i;

	p->status = answer->status;
	for (i = 0; i < answer->n_headers; i++) {
		const struct msp_header *h = &answer->headers[i];

		if (h->name_len == 4 && !strncasecmp(h->name, "date", 4))
			p->date = parse_date(h->value, h->value_len);
		if (h->name_len == sizeof(passed) - 1 &&
		    !strncasecmp(h->name, passed, h->name_len))
			p->passed = true;
	}
}

/* It has come to an end. */
static void finish(struct ctl_probe *p, int rc, const struct msp_error_info *i)
{
	if (rc == 0)
		take_answer(p, msp_client_response(p->client));
	else if (rc == MSP_ERR_TIMEOUT || rc == MSP_ERR_AGAIN)
		snprintf(p->error, sizeof(p->error), "no answer in time");
	else
		snprintf(p->error, sizeof(p->error), "%s",
			 i->text[0] ? i->text : msp_error_text(rc));
	p->err = rc < 0 ? i->sys_errno : 0;
	msp_client_free(p->client);
	p->client = NULL;
}

static void begin(struct ctl_probe *p, const char *target,
		  const struct msp_address *to)
{
	const struct msp_client_opts opts = { .size = sizeof(opts),
					      .address = *to,
					      .connect_ms = CTL_PROBE_MS,
					      .first_byte_ms = CTL_PROBE_MS,
					      .idle_ms = CTL_PROBE_MS,
					      .on_socket = keep_socket,
					      .on_socket_arg = p };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = msp_client_new(&p->client, &opts);

	if (rc == 0)
		rc = send_question(p->client, target, to, &info);
	if (rc < 0)
		finish(p, rc, &info);
}

/* As far as it goes without waiting; @late: it has been given enough time. */
static void go_on(struct ctl_probe *p, bool late)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = msp_client_run(p->client, now(), &info);

	if (rc != MSP_ERR_AGAIN || late)
		finish(p, rc, &info);
}

/* Returns how many are not done. */
static size_t turn(struct ctl_probe *probes, struct pollfd *fds, bool late)
{
	size_t i, n = 0;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (probes[i].client)
			go_on(&probes[i], late);
		if (!probes[i].client)
			continue;
		fds[n++] = (struct pollfd){
			.fd = msp_client_fd(probes[i].client),
			.events = msp_client_events(probes[i].client)
		};
	}
	return n;
}

/* ---- where it went ------------------------------------------------------ */

/* getpeername() tells clients what they asked for; /proc/net/tcp tells what
 * the kernel made of it. */
static void find_socket(struct ctl_probe *p)
{
	FILE *file = fopen("/proc/net/tcp", "re");
	unsigned long long inode;
	unsigned int ip, port;
	char *line = NULL;
	size_t room = 0;
	struct stat st;

	if (file && p->fd >= 0 && fstat(p->fd, &st) == 0)
		while (getline(&line, &room, file) > 0)
			if (sscanf(line,
				   " %*u: %*8X:%*4X %8X:%4X %*s %*s %*s %*s "
				   "%*s %*s %llu",
				   &ip, &port, &inode) == 3 &&
			    inode == st.st_ino)
				p->to = (struct msp_address){ ip,
							      (uint16_t)port,
							      0 };
	free(line);
	if (file)
		fclose(file);
}

void ctl_probe_all(struct ctl_probe probes[MSP_ENDPOINTS],
		   const struct msp_address to[MSP_ENDPOINTS])
{
	uint64_t end = now().boot_ms + CTL_PROBE_MS, at;
	struct pollfd fds[MSP_ENDPOINTS];
	size_t i, n;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		probes[i].fd = -1;
		begin(&probes[i], targets[i], &to[i]);
	}
	do {
		at = now().boot_ms;
		n = turn(probes, fds, at >= end);
		if (n)
			poll(fds, n, at < end ? (int)(end - at) : 0);
	} while (n);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		find_socket(&probes[i]);
		if (probes[i].fd >= 0)
			close(probes[i].fd);
	}
}
