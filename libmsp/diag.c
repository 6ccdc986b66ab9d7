/* SPDX-License-Identifier: MIT */
/*
 * In: questions about TCP sockets. Out: the kernel's answers, one by one, in
 * bounded memory. Must never act on a socket that the caller has not seen:
 * what is destroyed is named by the kernel's own cookie.
 */
#include "libmsp/diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libmsp/info.h"
#include "libmsp/mem.h"

#define ANSWER_BYTES	(64 * 1024) /* more than the kernel puts in one */
#define TIMER_TIME_WAIT 3	    /* what idiag_timer says of such */
#define MAPPED		0xffffu

/* "destination is this one": the operation, a struct inet_diag_hostcond,
 * whose last member has no size, and the address; if so, to the end */
struct filter {
	struct inet_diag_bc_op op;
	unsigned char host[sizeof(struct inet_diag_hostcond)];
	uint32_t address;
	struct inet_diag_bc_op found;
};

struct marks {
	struct nlattr head; /* nests the next */
	struct nlattr map;
	int fd;
};

/* All of a request; optional parts are left off at the end or by length. */
struct question {
	struct nlmsghdr head;
	union {
		struct inet_diag_req_v2 body;
		struct inet_diag_req both; /* the older form, which is longer */
	};
	unsigned char more[sizeof(struct nlattr) +
			   MSP_DIAG_REMOTES * sizeof(struct filter) +
			   sizeof(struct marks)];
};

int msp_diag_open(struct msp_error_info *info)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG);

	if (fd < 0)
		return msp_fail_sys(info, errno, "cannot list sockets");
	return fd;
}

bool msp_diag_ipv4(const struct msp_diag_socket *s, const uint32_t address[4],
		   uint32_t *out)
{
	*out = address[0];
	if (s->family == AF_INET)
		return true;
	*out = address[3];
	if (address[0] || address[1])
		return false;
	return address[2] == htonl(MAPPED) || (!address[2] && !address[3]);
}

/* ---- question ---------------------------------------------------------- */

static void append(struct question *q, const void *data, size_t len)
{
	memcpy((char *)q + q->head.nlmsg_len, data, len);
	q->head.nlmsg_len += (uint32_t)len;
}

/* rest: bytes from this one to the end, which is what is wanted; 4 past the
 * end is not. A jump that is no condition is always taken. The kernel compares
 * mapped addresses with an IPv4 one as well. */
static void append_filter(struct question *q, const struct msp_address *remote,
			  uint16_t rest)
{
	struct inet_diag_hostcond host;
	struct filter f = { .address = remote->ip };
	bool last = rest == sizeof(f);

	f.op.code = INET_DIAG_BC_D_COND;
	f.op.yes = sizeof(f) - sizeof(f.found);
	f.op.no = last ? sizeof(f) + 4 : sizeof(f);
	memset(&host, 0, sizeof(host)); /* it has padding */
	host.family = AF_INET;
	host.prefix_len = 32;
	host.port = remote->port;
	memcpy(f.host, &host, sizeof(host));
	f.found.code = INET_DIAG_BC_JMP;
	f.found.yes = sizeof(f.found);
	f.found.no = rest - f.op.yes;
	append(q, &f, sizeof(f));
}

static void append_filters(struct question *q,
			   const struct msp_diag_query *query)
{
	uint16_t rest = (uint16_t)(query->n_remotes * sizeof(struct filter));
	struct nlattr head = { .nla_len = sizeof(head) + rest,
			       .nla_type = INET_DIAG_REQ_BYTECODE };
	size_t i;

	append(q, &head, sizeof(head));
	for (i = 0; i < query->n_remotes; i++) {
		append_filter(q, &query->remotes[i], rest);
		rest -= sizeof(struct filter);
	}
}

static void append_marks(struct question *q, int fd)
{
	struct marks m = { .fd = fd };

	m.head.nla_len = sizeof(m);
	m.head.nla_type = INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED;
	m.map.nla_len = sizeof(m.map) + sizeof(m.fd);
	m.map.nla_type = SK_DIAG_BPF_STORAGE_REQ_MAP_FD;
	append(q, &m, sizeof(m));
}

/* The kernel goes through all of its table, whatever is asked for, which is
 * what a question costs: the older form of it is the one about both families.
 */
static void ask_of_both(struct question *out)
{
	struct inet_diag_req both = { .id = out->body.id,
				      .idiag_states = out->body.idiag_states };

	out->both = both;
	out->head.nlmsg_len = sizeof(out->head) + sizeof(both);
	out->head.nlmsg_type = TCPDIAG_GETSOCK;
}

static void make_question(struct question *out,
			  const struct msp_diag_query *query)
{
	memset(out, 0, sizeof(*out));
	out->head.nlmsg_len = sizeof(out->head) + sizeof(out->body);
	out->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	out->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	out->body.sdiag_family = (uint8_t)query->family;
	out->body.sdiag_protocol = IPPROTO_TCP;
	out->body.idiag_states = query->states;
	out->body.id.idiag_sport = htons(query->local_port);
	if (query->family == AF_UNSPEC)
		ask_of_both(out);
	if (query->n_remotes)
		append_filters(out, query);
	if (query->mark_fd >= 0)
		append_marks(out, query->mark_fd);
}

static int send_question(int fd, const struct question *q)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n = sendto(fd, q, q->head.nlmsg_len, 0,
			   (struct sockaddr *)&kernel, sizeof(kernel));

	return n < 0 ? errno : 0;
}

/* ---- answer ------------------------------------------------------------ */

/* One datagram of the kernel; anybody else's are not for us. */
static ssize_t receive(int fd, void *buffer, size_t size)
{
	struct sockaddr_nl from = { .nl_pid = 0 };
	socklen_t from_len;
	ssize_t n;

	do {
		from_len = sizeof(from);
		n = recvfrom(fd, buffer, size, MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n > (ssize_t)size) {
		errno = EMSGSIZE;
		return -1;
	}
	return n;
}

/* "MAP_ID, MAP_VALUE" for each map that has an entry: is there any? */
static bool any_mark(const struct nlattr *nest)
{
	return nest->nla_len > NLA_HDRLEN;
}

static void take_attribute(struct msp_diag_socket *s,
			   const struct nlattr *attribute)
{
	const unsigned char *data =
		(const unsigned char *)attribute + NLA_HDRLEN;
	size_t len = attribute->nla_len - (size_t)NLA_HDRLEN;

	switch (attribute->nla_type & NLA_TYPE_MASK) {
	case INET_DIAG_CGROUP_ID:
		if (len == sizeof(s->cgroup))
			memcpy(&s->cgroup, data, sizeof(s->cgroup));
		break;
	case INET_DIAG_SKV6ONLY:
		s->v6only = len > 0 && data[0];
		break;
	case INET_DIAG_SK_BPF_STORAGES:
		s->marked = any_mark(attribute);
		break;
	}
}

static void take_socket(struct msp_diag_socket *out,
			const struct nlmsghdr *head)
{
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	const unsigned char *at = (const unsigned char *)(m + 1);
	const unsigned char *end =
		(const unsigned char *)head + head->nlmsg_len;
	struct nlattr attribute;

	memset(out, 0, sizeof(*out));
	out->id = m->id;
	out->inode = m->idiag_inode;
	out->uid = m->idiag_uid;
	out->family = m->idiag_family;
	out->state = m->idiag_state;
	out->time_wait = m->idiag_timer == TIMER_TIME_WAIT;
	while (end - at >= NLA_HDRLEN) {
		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.nla_len < NLA_HDRLEN ||
		    attribute.nla_len > end - at)
			return;
		take_attribute(out, (const struct nlattr *)at);
		if (NLA_ALIGN(attribute.nla_len) > end - at)
			return;
		at += NLA_ALIGN(attribute.nla_len);
	}
}

/* errno in an NLMSG_ERROR, or in an NLMSG_DONE that has one; 0: none. */
static int error_of(const struct nlmsghdr *head)
{
	int error = 0;

	if (head->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(head), sizeof(error));
	return error < 0 ? -error : 0;
}

struct dump {
	msp_diag_call *call;
	void *arg;
	bool done;
	bool partial;
};

static int take_message(struct dump *d, const struct nlmsghdr *head,
			struct msp_error_info *info)
{
	struct msp_diag_socket found;
	int err;

	if (head->nlmsg_flags & NLM_F_DUMP_INTR)
		d->partial = true;
	if (head->nlmsg_type == NLMSG_ERROR || head->nlmsg_type == NLMSG_DONE) {
		d->done = true;
		err = error_of(head);
		return err ? msp_fail_sys(info, err, "cannot list sockets") : 0;
	}
	if ((head->nlmsg_type != SOCK_DIAG_BY_FAMILY &&
	     head->nlmsg_type != TCPDIAG_GETSOCK) ||
	    head->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return 0;
	take_socket(&found, head);
	return d->call(d->arg, &found);
}

/* NLMSG_OK() and NLMSG_NEXT() want a length of two signs at once. */
static int take_answer(struct dump *d, const char *buffer, size_t len,
		       struct msp_error_info *info)
{
	const struct nlmsghdr *head;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && !d->done && at < len && len - at >= sizeof(*head)) {
		head = (const struct nlmsghdr *)(buffer + at);
		if (head->nlmsg_len < sizeof(*head) ||
		    head->nlmsg_len > len - at)
			break;
		rc = take_message(d, head, info);
		at += NLMSG_ALIGN(head->nlmsg_len);
	}
	return rc;
}

int msp_diag_dump(int fd, const struct msp_diag_query *query,
		  msp_diag_call *call, void *arg, bool *partial,
		  struct msp_error_info *info)
{
	struct dump d = { .call = call, .arg = arg };
	struct question q;
	void *buffer;
	ssize_t n;
	int rc;

	make_question(&q, query);
	rc = send_question(fd, &q);
	if (rc)
		return msp_fail_sys(info, rc, "cannot list sockets");
	buffer = msp_mem_alloc(ANSWER_BYTES);
	if (!buffer)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	while (rc == 0 && !d.done) {
		n = receive(fd, buffer, ANSWER_BYTES);
		rc = n < 0 ? msp_fail_sys(info, errno, "cannot list sockets")
			   : take_answer(&d, buffer, (size_t)n, info);
	}
	msp_mem_free(buffer);
	*partial |= d.partial;
	return rc;
}

int msp_diag_destroy(int fd, const struct msp_diag_socket *s)
{
	struct msp_diag_query query = { .family = s->family, .mark_fd = -1 };
	union {
		struct nlmsghdr head;
		char room[NLMSG_SPACE(sizeof(struct nlmsgerr)) +
			  sizeof(struct question)];
	} answer;
	struct question q;
	ssize_t n;
	int err;

	make_question(&q, &query);
	q.head.nlmsg_type = SOCK_DESTROY;
	q.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	q.body.id = s->id;
	err = send_question(fd, &q);
	if (err)
		return err;
	n = receive(fd, &answer, sizeof(answer));
	if (n < 0)
		return errno;
	if (!NLMSG_OK(&answer.head, (size_t)n) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	return error_of(&answer.head);
}
