/* SPDX-License-Identifier: MIT */
/*
 * diag.h - the kernel's list of TCP sockets (sock_diag), those of the network
 * namespace of the calling thread.
 */
#ifndef MSP_DIAG_H
#define MSP_DIAG_H

#include <linux/inet_diag.h>

#include <msp/endpoint.h>
#include <msp/error.h>

/* Bits of states, numbered as the kernel does. */
#define MSP_DIAG_STATE(n)   (1u << (n))
#define MSP_DIAG_TIME_WAIT  6
#define MSP_DIAG_CLOSE	    7
#define MSP_DIAG_LISTEN	    10
#define MSP_DIAG_ALL_STATES 0xffffffffu
#define MSP_DIAG_REMOTES    MSP_ENDPOINTS

/**
 * struct msp_diag_query - which sockets; a zero field: any
 * @family:      AF_INET, AF_INET6, or AF_UNSPEC: both
 * @states:      bits
 * @local_port:  host byte order
 * @remotes:     destinations, IPv4 or mapped: one of them; ip and port are
 *               both compared
 * @n_remotes:   at most MSP_DIAG_REMOTES; 0: any destination
 * @mark_fd:     map of socket storage, -1: none
 */
struct msp_diag_query {
	int family;
	uint32_t states;
	uint16_t local_port;
	const struct msp_address *remotes;
	size_t n_remotes;
	int mark_fd;
};

/**
 * struct msp_diag_socket - one of them
 * @id:         addresses and cookie, for msp_diag_destroy()
 * @cgroup:     number of its cgroup, 0: the kernel does not tell
 * @inode:      as /proc/PID/fd shows it; 0: no process has it open
 * @uid:        its owner
 * @family:     AF_INET or AF_INET6
 * @state:      number
 * @time_wait:  what is left of a connection that has ended
 * @v6only:     does not take IPv4
 * @marked:     has an entry in the query's map
 */
struct msp_diag_socket {
	struct inet_diag_sockid id;
	uint64_t cgroup;
	uint32_t inode;
	uint32_t uid;
	uint8_t family;
	uint8_t state;
	bool time_wait;
	bool v6only;
	bool marked;
};

/* Called per socket; not 0 ends the dump with that code. */
typedef int msp_diag_call(void *arg, const struct msp_diag_socket *socket);

/* A descriptor for the calls below; one dump at a time. Or negative. */
int msp_diag_open(struct msp_error_info *info);

/* *partial: it changed meanwhile, so some may be missing. */
int msp_diag_dump(int fd, const struct msp_diag_query *query,
		  msp_diag_call *call, void *arg, bool *partial,
		  struct msp_error_info *info);

/* Reset that very connection. 0 or a positive errno: ENOENT or ESTALE when it
 * is gone, EOPNOTSUPP where the kernel cannot. */
int msp_diag_destroy(int fd, const struct msp_diag_socket *socket);

/* An address of it that IPv4 reaches: itself, mapped, or all (0). */
bool msp_diag_ipv4(const struct msp_diag_socket *socket,
		   const uint32_t address[4], uint32_t *out);

#endif
