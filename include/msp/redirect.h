/* SPDX-License-Identifier: MIT */
/*
 * redirect.h - eBPF: send connections to governed endpoints to our listener.
 *
 * Needs root, or CAP_BPF + CAP_NET_ADMIN + CAP_PERFMON; Linux 5.15 or newer
 * with BTF and cgroup v2. Everything lives in descriptors of this process:
 * it ends with it, nothing is pinned, unless somebody else keeps them for a
 * successor: msp_redirect_parts().
 */
#ifndef MSP_REDIRECT_H
#define MSP_REDIRECT_H

#include <msp/endpoint.h>
#include <msp/error.h>

/** What the kernel does with connections to an endpoint. Zero: nothing. */
enum msp_redirect_state {
	MSP_REDIRECT_OFF = 0,	 /* they go to the host directly */
	MSP_REDIRECT_AUDIT = 1,	 /* redirected; other namespaces pass */
	MSP_REDIRECT_ENFORCE = 2 /* redirected; other namespaces are refused */
};

/** Roles of sockets that are our own. */
enum msp_redirect_mark {
	MSP_MARK_SKIP = 1, /* never redirected; may bind the listener's port */
	MSP_MARK_PROBE = 2 /* redirected whatever the state */
};

/** Counters; they only grow. From 8 on: of msp_peer_identify(). */
enum msp_redirect_counter {
	MSP_COUNT_REDIRECTED = 0,     /* connections sent to the listener */
	MSP_COUNT_DIRECT = 1,	      /* connections to the listener itself */
	MSP_COUNT_SKIPPED = 2,	      /* our own */
	MSP_COUNT_FOREIGN_DENIED = 3, /* of another network namespace */
	MSP_COUNT_FOREIGN_PASSED = 4, /* likewise, sent on to the host */
	MSP_COUNT_NO_STORAGE = 5,     /* refused: no memory for the facts */
	MSP_COUNT_BIND_DENIED = 6,    /* somebody tried to take our port */
	MSP_COUNT_DEVICE_DENIED = 7,  /* of a device-bound socket: to the
				       * listener, or of a process that may
				       * not unbind it (CAP_NET_RAW) */
	MSP_COUNT_FOUND = 8,	      /* peers identified */
	MSP_COUNT_CLOSED = 9,	      /* not: the client had closed */
	MSP_COUNT_NOT_CONNECTED = 10, /* not: its tuple is no connection */
	MSP_COUNT_NOT_OURS = 11,      /* not: its tuple is a later connection */
	MSP_COUNT_NOT_PEERS = 12,     /* not: the sockets are no pair */
	MSP_COUNT_NO_FACTS = 13,      /* not: was not seen when it connected */
	MSP_COUNT_OTHER_PIDS = 14,    /* not: in no PID namespace of ours */
	MSP_COUNT_FAILED = 15	      /* not: a system call failed */
};
#define MSP_COUNTERS 16

/** Connections of other network namespaces, where 127.0.0.1 is not ours. */
enum msp_redirect_foreign {
	MSP_FOREIGN_AUTO = 0, /* refused where enforced, passed in audit */
	MSP_FOREIGN_DENY = 1, /* refused unless the endpoint is off */
	MSP_FOREIGN_PASS = 2  /* sent on to the host, unsigned */
};

/** Bits of msp_redirect_opts.flags. */
enum msp_redirect_flag {
	/* Do not read paths of executables, as where the kernel refuses to
	 * show its memory (lockdown=confidentiality). */
	MSP_REDIRECT_NO_PATH = 1
};

/** What the running kernel does not allow: msp_redirect_limits(). */
enum msp_redirect_limit {
	/* No paths of executables: rules that name a program match nothing,
	 * names of parents are missing, and the agent has to run in the
	 * initial PID namespace. */
	MSP_REDIRECT_LIMIT_NO_PATH = 1
};

/** Descriptors that a redirector is made of. */
#define MSP_REDIRECT_PARTS 9
/** Most that msp_redirect_open() looks at. */
#define MSP_REDIRECT_PARTS_MAX 64

/**
 * struct msp_redirect_part - one of them
 * @name:     "libmsp." and what it is: printable ASCII without a colon, at most
 *            31 bytes, NUL-terminated. The same in each process of each version
 *            that can go on with it. Of msp_redirect_parts(): never freed
 * @fd:       the descriptor
 * @reserved: 0
 */
struct msp_redirect_part {
	const char *name;
	int fd;
	uint32_t reserved;
};

/**
 * struct msp_redirect_opts
 * @size:        sizeof(struct msp_redirect_opts)
 * @cgroup:      path of a cgroup v2 directory: its processes and those of
 *               its descendants are redirected. NULL: the first mount point
 *               of a whole hierarchy, as our cgroup namespace has it,
 *               in /proc/self/mountinfo; a part alone is not taken
 * @cgroup_len:  its length
 * @listener:    where to; ip 0: 127.0.0.1, port 0: 3080
 * @endpoints:   governed addresses, indexed by enum msp_endpoint; ip 0: the
 *               address Azure gives it
 * @flags:       or of enum msp_redirect_flag
 * @foreign:     enum msp_redirect_foreign
 * @detail:      NULL, or room for what does not fit into the text of a struct
 *               msp_error_info: "" unless the kernel's verifier refused a
 *               program, then that failure with as much of the end of the
 *               verifier's output as there is room for; UTF-8, no line
 *               break, NUL-terminated. Used during the call only
 * @detail_size: its bytes
 * @parts:       what a predecessor was made of; NULL: there was none. Used
 *               during the call only, the descriptors stay the caller's
 * @n_parts:     how many, at most MSP_REDIRECT_PARTS_MAX
 */
struct msp_redirect_opts {
	size_t size;
	const char *cgroup;
	size_t cgroup_len;
	struct msp_address listener;
	struct msp_address endpoints[MSP_ENDPOINTS];
	uint32_t flags;
	uint32_t foreign;
	char *detail;
	size_t detail_size;
	const struct msp_redirect_part *parts;
	size_t n_parts;
};

/**
 * struct msp_redirect_others - who gets connections that are not the probe's
 * @size: sizeof(struct msp_redirect_others)
 * @take: called with each; the descriptor is its to close
 * @arg:  its argument
 */
struct msp_redirect_others {
	size_t size;
	void (*take)(void *arg, int fd);
	void *arg;
};

/**
 * struct msp_redirect_swept - connections that went to the host directly
 * @size:      in: sizeof(struct msp_redirect_swept)
 * @found:     connections to the endpoint that nobody redirected; sockets
 *             declared our own are not among them
 * @destroyed: of those
 * @left:      found - destroyed: they stay as they are
 * @reserved:  0
 */
struct msp_redirect_swept {
	size_t size;
	uint32_t found;
	uint32_t destroyed;
	uint32_t left;
	uint32_t reserved;
};

/** Bits for msp_redirect_sweep() and msp_redirect_sweep_all(). */
enum msp_redirect_sweep_flag {
	MSP_SWEEP_DESTROY = 1 /* else only count */
};

/**
 * struct msp_port_holder - who has a TCP port
 * @size:  in: sizeof(struct msp_port_holder)
 * @inode: number of its socket as /proc/PID/fd shows it
 * @uid:   owner of the socket
 * @pid:   a process that has it open, 0 if none was found
 * @comm:  its name as the process chose it, "" if none was found
 */
struct msp_port_holder {
	size_t size;
	uint64_t inode;
	uint32_t uid;
	uint32_t pid;
	char comm[16];
};

struct msp_redirect;

MSP_BEGIN_DECLS

/**
 * msp_redirect_open - load and attach the programs, all endpoints off
 * @out:  new redirector, or NULL on error; free with msp_redirect_free()
 * @opts: copied; NULL for defaults
 * @info: optional: which step, and which program, failed, with errno and the
 *        last line of the verifier
 *
 * The programs act in the network namespace of the calling thread: nobody in
 * the cgroup can bind the listener's port there any more, but with a socket of
 * msp_redirect_mark(). Where the kernel refuses to show paths they are loaded
 * without that part, see msp_redirect_limits().
 *
 * With parts, what fits of them is gone on with: endpoints stay as they are,
 * connections that are redirected meanwhile are, and those that nobody has
 * accepted yet can still be identified. What is missing, or is not what its
 * name says, is made anew; see msp_redirect_taken(). The predecessor must have
 * ended. On error the parts may have been changed: close them everywhere,
 * which detaches, and open without.
 *
 * Threads: any. Each other call says which threads may use the redirector.
 * libbpf's message hook, of which there is one in a process, is silenced during
 * the call and then put back; of several such calls at a time the one that
 * began first puts it back. libbpf before 1.2 does not change it atomically:
 * there, one at a time in the whole process.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_SYS, MSP_ERR_UNSUPPORTED,
 * MSP_ERR_NOENT (no cgroup given, and no cgroup v2 file system is mounted).
 */
MSP_API MSP_MUST_CHECK int
msp_redirect_open(struct msp_redirect **out,
		  const struct msp_redirect_opts *opts,
		  struct msp_error_info *info);

/**
 * msp_redirect_parts - what has to be kept for a successor
 * @redirect: attached; NULL: none
 * @out:      filled in; the descriptors are borrowed: duplicate them, or send
 *            them to whoever keeps them
 * @room:     elements of out; MSP_REDIRECT_PARTS is enough
 *
 * For as long as somebody has all of them open, connections are redirected as
 * they are now: to the listener, which has to be kept as well. Whoever has
 * one can redirect connections elsewhere: only for who is trusted as much.
 * Returns how many were filled in. Threads: any.
 */
MSP_API size_t msp_redirect_parts(const struct msp_redirect *redirect,
				  struct msp_redirect_part *out, size_t room);

/**
 * msp_redirect_taken - which of them were a predecessor's
 * @redirect: NULL: 0
 *
 * Returns bit i for element i of msp_redirect_parts(). Threads: any.
 */
MSP_API unsigned int msp_redirect_taken(const struct msp_redirect *redirect);

/**
 * msp_redirect_detached - which programs somebody has detached
 * @redirect: NULL: 0
 *
 * Root can, with any tool for eBPF; nobody is told. Six system calls that look
 * at nothing else: to be asked now and then.
 * Returns bit i for element i of msp_redirect_parts(). Threads: any.
 */
MSP_API unsigned int msp_redirect_detached(const struct msp_redirect *redirect);

/**
 * msp_redirect_repair - attach again what somebody has detached
 * @redirect: attached
 * @out:      bit i for element i of msp_redirect_parts() that is another link
 *            now: to be kept for a successor anew
 * @info:     optional: which program could not be attached, and errno
 *
 * Endpoints stay as they are. Connections made meanwhile went to the host
 * directly: see msp_redirect_sweep_all(). On error some may have been attached.
 * Threads: one at a time for each redirector, and none that asks for its parts.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_redirect_repair(struct msp_redirect *redirect,
					       unsigned int *out,
					       struct msp_error_info *info);

/**
 * msp_redirect_free - detach and unload
 * @redirect: NULL is fine
 *
 * What somebody else keeps of its parts stays, and redirects.
 * Connections that were redirected stay. Threads: the last one that uses it.
 */
MSP_API void msp_redirect_free(struct msp_redirect *redirect);

/**
 * msp_redirect_set - switch one endpoint; takes effect at the next connect()
 * @redirect: attached
 * @endpoint: which
 * @state:    what becomes of its connections
 *
 * Threads: any. Errors: MSP_ERR_INVAL.
 */
MSP_API MSP_MUST_CHECK int msp_redirect_set(struct msp_redirect *redirect,
					    enum msp_endpoint endpoint,
					    enum msp_redirect_state state);

/**
 * msp_redirect_get - the endpoint's state now
 * @redirect: NULL: MSP_REDIRECT_OFF
 * @endpoint: which
 *
 * Threads: any.
 */
MSP_API enum msp_redirect_state
msp_redirect_get(const struct msp_redirect *redirect,
		 enum msp_endpoint endpoint);

/**
 * msp_redirect_mark - declare a socket our own, before bind() or connect()
 * @redirect: attached
 * @fd:       a TCP socket; stays the caller's
 * @mark:     its role
 * @info:     optional detail
 *
 * If this fails the socket must not be used: an unmarked one would be
 * redirected to ourselves. Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_redirect_mark(struct msp_redirect *redirect,
					     int fd,
					     enum msp_redirect_mark mark,
					     struct msp_error_info *info);

/**
 * msp_redirect_prove - open a connection of our own through the whole channel
 * @redirect:  attached
 * @listen_fd: our listening socket; whatever else is accepted meanwhile is
 *             closed
 * @timeout_ms: how long each of two connections may take, the one over IPv4
 *             and the one of an IPv6 socket; 0: 2,000
 * @info:      optional: what did not come back right
 *
 * Do this after attaching and before switching any endpoint on: it shows that
 * connections are redirected here and that the kernel tells who made them. The
 * calling process has to be in the governed cgroup, or below, and in the
 * listener's network namespace; its user must not be renumbered by a user
 * namespace.
 * Blocks. Errors: MSP_ERR_INVAL, MSP_ERR_SYS, MSP_ERR_TIMEOUT,
 * MSP_ERR_UNSUPPORTED (redirected, but the facts are wrong or missing).
 * Threads: one at a time for each redirector.
 */
MSP_API MSP_MUST_CHECK int msp_redirect_prove(struct msp_redirect *redirect,
					      int listen_fd,
					      uint32_t timeout_ms,
					      struct msp_error_info *info);

/**
 * msp_redirect_prove_among - the same while clients wait to be accepted
 * @redirect:   attached
 * @listen_fd:  our listening socket
 * @timeout_ms: as of msp_redirect_prove()
 * @others:     who gets connections that come before the probe's; NULL: they
 *              are closed
 * @info:       optional: what did not come back right
 *
 * For who goes on with a predecessor's parts: connections were redirected all
 * the time, and wait.
 * Blocks. Errors: MSP_ERR_INVAL, MSP_ERR_SYS, MSP_ERR_TIMEOUT,
 * MSP_ERR_UNSUPPORTED (redirected, but the facts are wrong or missing).
 * Threads: one at a time for each redirector.
 */
MSP_API MSP_MUST_CHECK int msp_redirect_prove_among(
	struct msp_redirect *redirect, int listen_fd, uint32_t timeout_ms,
	const struct msp_redirect_others *others, struct msp_error_info *info);

/**
 * msp_redirect_limits - what the running kernel does not allow
 * @redirect: NULL: 0
 *
 * Returns an or of enum msp_redirect_limit. Threads: any.
 */
MSP_API unsigned int msp_redirect_limits(const struct msp_redirect *redirect);

/**
 * msp_redirect_sweep - find connections to an endpoint that bypass us
 * @redirect: attached
 * @endpoint: which
 * @flags:    or of enum msp_redirect_sweep_flag
 * @out:      filled in; zeroed on error but for its size, which is the
 *            caller's to set
 * @info:     optional detail
 *
 * Connections opened before the programs were attached, or while the endpoint
 * was off, go on to the host directly. Looks at those of the network
 * namespace of the calling thread whose socket is in the governed cgroup or
 * below, at both IPv4 and mapped IPv6, and also at those whose process has
 * ended while data is still to be sent. Sockets marked by msp_redirect_mark()
 * are passed over, other ones of this process are not. A connect() that is
 * under way while an endpoint is switched on may not be seen yet: look again
 * a little later. Where the kernel cannot destroy sockets they are counted
 * as left.
 * May take milliseconds per thousand connections of the machine: not for an
 * event loop. Needs CAP_NET_ADMIN, and CAP_DAC_READ_SEARCH unless attached at
 * the root of the cgroup tree. Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int
msp_redirect_sweep(const struct msp_redirect *redirect,
		   enum msp_endpoint endpoint, unsigned int flags,
		   struct msp_redirect_swept *out, struct msp_error_info *info);

/**
 * msp_redirect_sweep_all - the same for several endpoints at the cost of one
 * @redirect: attached
 * @flags:    of each, an or of enum msp_redirect_sweep_flag; indexed by enum
 *            msp_endpoint
 * @out:      of each, as of msp_redirect_sweep(); NULL: it is not looked at
 * @count:    elements of flags and out, at most MSP_ENDPOINTS
 * @info:     optional detail
 *
 * The kernel goes through all connections of the machine once. On error all
 * of out are zeroed but for their sizes.
 * Threads: any. Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int
msp_redirect_sweep_all(const struct msp_redirect *redirect,
		       const unsigned int *flags,
		       struct msp_redirect_swept *const *out, size_t count,
		       struct msp_error_info *info);

/**
 * msp_redirect_holder - who keeps us from binding an address
 * @address: as it was to be bound; a socket bound to all addresses counts
 * @out:     filled in; zeroed on error but for its size, which is the
 *           caller's to set
 * @info:    optional detail
 *
 * Needs no redirector. Prefers a socket that listens; from Linux 6.8 on one
 * that is only bound is found as well. Looks through /proc for the process,
 * so it may take a while: not for an event loop. Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOENT (none found), MSP_ERR_NOMEM,
 * MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int
msp_redirect_holder(const struct msp_address *address,
		    struct msp_port_holder *out, struct msp_error_info *info);

/**
 * msp_redirect_count - value of one counter
 * @redirect: NULL: 0
 * @counter:  0 for what is none
 *
 * Threads: any.
 */
MSP_API uint64_t msp_redirect_count(const struct msp_redirect *redirect,
				    enum msp_redirect_counter counter);

MSP_END_DECLS

#endif
