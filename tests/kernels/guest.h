/* SPDX-License-Identifier: MIT */
/*
 * guest.h - what the parts of the test guest share: PID 1, which checks, and
 * the client it starts, which says of itself what the kernel should say.
 */
#ifndef GUEST_H
#define GUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <msp/msp.h>

#define CLIENT	      "/usr/bin/client"
#define CGROUP_MOUNT  "/sys/fs/cgroup"
#define CONNECTIONS   200
#define MAX_GROUPS    128
#define LISTENER_PORT 3080
/* Ten times what the slowest emulator seen needed for the longest wait. */
#define WAIT_SECONDS 120

/* Whatever the client says of itself, and can be told to lie about. */
enum fact {
	FACT_UID,
	FACT_GID,
	FACT_EUID,
	FACT_EGID,
	FACT_GROUPS,
	FACT_PID,
	FACT_TID,
	FACT_START,
	FACT_COMM,
	FACT_PARENTS,
	FACT_LOGINUID,
	FACT_NET_NS,
	FACT_MNT_NS,
	FACT_PID_NS,
	FACT_USER_NS,
	FACT_NS_OWNER,
	FACT_CGROUP,
	FACT_EXE_PATH,
	FACT_EXE_FILE,
	FACT_DESTINATION,
	FACT_FAMILY,
	FACT_COOKIE,
	FACT_NET_COOKIE,
	FACT_TIME,
	FACTS
};

/* Exit status of the client; an errno (all are below) if it cannot connect. */
#define CLIENT_DOUBTED 201 /* the listener found it lying */
#define CLIENT_BROKEN  202

/* Bits of the client's options. */
#define CLIENT_POKE    1u /* connect, say nothing */
#define CLIENT_THREAD  2u /* connect in another thread */
#define CLIENT_USER_NS 4u /* in a user namespace of its own */
#define CLIENT_NESTED  8u /* and in another below that one */

struct ancestor {
	uint64_t ticks;
	uint32_t pid;
	char comm[16];
};

struct claim {
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	uint64_t before_ns;   /* CLOCK_MONOTONIC around connect() */
	uint64_t after_ns;
	uint64_t cookie;
	uint64_t net_cookie;
	uint64_t inode;
	int64_t ctime_s;
	uint32_t ctime_ns;
	uint32_t device;
	uint32_t mode;
	uint32_t owner;
	uint32_t links;
	uint32_t index;
	uint32_t uid, gid, euid, egid;
	uint32_t pid, tid, loginuid;
	uint32_t net_ns, mnt_ns, pid_ns, user_ns;
	uint32_t ns_owner;
	uint32_t family;
	struct msp_address to; /* as getpeername() says */
	uint32_t n_gids;
	uint32_t gids[MAX_GROUPS];
	struct ancestor parents[MSP_CALLER_PARENTS];
	char comm[16];
	char cgroup[256];
	char exe[MSP_CALLER_PATH_MAX];
};

/* How to start a client. */
struct plan {
	const char *program;
	const char *mount_over; /* file to bind over program, or NULL */
	int program_fd;		/* instead of program, if not -1 */
	uint32_t index;
	uint32_t uid, gid, euid, egid;
	uint32_t n_gids;
	gid_t gids[MAX_GROUPS];
	uint32_t loginuid;    /* 0: leave it unset */
	const char *cgroup;   /* directory */
	unsigned int depth;   /* processes between PID 1 and the client */
	unsigned int unshare; /* namespaces to leave */
	unsigned int options; /* CLIENT_... */
	int family;
	int lie; /* enum fact, or -1 */
	struct msp_address to;
};

struct child {
	pid_t pid;
	int fd; /* a byte each way: it runs; it may go on */
};

/* client.c */
int client_main(int argc, char **argv);

/* launch.c */
struct plan plan_new(uint32_t index, struct msp_address to);
int launch(const struct plan *plan, struct child *out);
int let_go(struct child *child);
int wait_for(struct child *child);
int run(const struct plan *plan);

/* facts.c: a bit per enum fact that differs */
uint32_t facts_differ(const struct msp_caller *caller, const char *cgroup,
		      const struct claim *claim, bool paths);
const char *fact_name(unsigned int fact);

/* setup.c */
int guest_mount(void);
int guest_network(void);
int write_file(const char *path, const char *text);
int read_file(const char *path, char *out, size_t size);
int copy_file(const char *from, const char *to);

/* guest.c: one line each on the console */
void check(bool ok, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool all_well(void);

struct world {
	struct msp_redirect *redirect;
	struct msp_address endpoints[MSP_ENDPOINTS];
	int real[MSP_ENDPOINTS]; /* where connections that escape arrive */
	int listener;
	int root;
	bool paths; /* the kernel shows us paths */
};

/* An accepted connection. */
struct peer {
	struct msp_caller caller;
	int fd;
	int rc; /* of msp_peer_identify() */
};

/* world.c */
int world_start(struct world *w);
int world_open(struct world *w, uint32_t flags, struct msp_error_info *info);
int world_listen(struct world *w);
void world_set(struct world *w, enum msp_redirect_state state);
void world_close(struct world *w);
unsigned int world_escaped(struct world *w);
bool peer_take(struct world *w, struct peer *peer);
bool peer_hear(struct world *w, struct peer *peer, struct claim *claim,
	       uint32_t *differ);
void peer_dismiss(struct peer *peer, bool believed);

/* many.c */
void check_many(struct world *w);
void check_lies(struct world *w);

/* edges.c */
void check_off(struct world *w, const char *when);
void check_direct(struct world *w);
void check_bind(struct world *w, bool guarded);
void check_foreign(struct world *w);

/* selectors.c */
void check_selectors(struct world *w);

/* programs.c */
void check_programs(struct world *w);

/* agent.c */
int fetch_main(int argc, char **argv);
void check_agent(void);

/* units.c */
void check_units(void);

/* attached.c */
void check_attached(unsigned int each, const char *when);
void check_unloaded(const char *when);

#endif
