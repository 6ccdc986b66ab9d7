/* SPDX-License-Identifier: MIT */
/*
 * peer.h - accepted socket -> verified facts about who connected.
 *
 * Asks the kernel for the facts it stored on the client's own socket at
 * connect(), after checking that this socket really is the other end. What
 * cannot be verified is unknown, and unknown is refused.
 */
#ifndef MSP_PEER_H
#define MSP_PEER_H

#include <msp/caller.h>
#include <msp/redirect.h>

MSP_BEGIN_DECLS

/**
 * msp_peer_identify - who is at the other end of an accepted connection
 * @redirect: attached
 * @fd:       accepted TCP socket; call this at once after accept(), for a
 *            client that is gone is unknown
 * @out:      filled in; zeroed on error
 * @info:     optional: which check failed
 *
 * Never blocks; about 3 microseconds. Do it once per connection and keep the
 * answer with it. Names are not filled in: see user_name.
 * Threads: one at a time per redirector.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS, MSP_ERR_UNKNOWN_PEER.
 */
MSP_API MSP_MUST_CHECK int msp_peer_identify(struct msp_redirect *redirect,
					     int fd, struct msp_caller *out,
					     struct msp_error_info *info);

/**
 * msp_peer_verify_exe - is the file at caller->exe_path the one that ran?
 * @redirect: attached
 * @root_fd:  directory under which the path is looked up, e.g. an O_PATH
 *            descriptor of /proc/1/root
 * @caller:   facts of msp_peer_identify(); MSP_CALLER_EXE_VERIFIED is set or
 *            cleared
 *
 * Compares device, inode, generation and change time in the kernel's terms.
 * Opens a file, so it may block: not for an event loop. Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS; then it is not verified.
 */
MSP_API MSP_MUST_CHECK int msp_peer_verify_exe(struct msp_redirect *redirect,
					       int root_fd,
					       struct msp_caller *caller);

/**
 * msp_peer_open_root - open the directory executables are looked up under
 * @redirect: attached
 * @path:     e.g. "/proc/1/root", which shows what a sandboxed agent's own
 *            mount tree may hide
 * @len:      its length, below 256
 * @out:      set to an O_PATH descriptor the caller closes, -1 on error
 * @info:     optional detail
 *
 * Where opening it is refused even to root, our own "/" serves if the kernel
 * says that our mount namespace is that of PID 1.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS, MSP_ERR_UNSUPPORTED.
 */
MSP_API MSP_MUST_CHECK int msp_peer_open_root(struct msp_redirect *redirect,
					      const char *path, size_t len,
					      int *out,
					      struct msp_error_info *info);

MSP_END_DECLS

#endif
