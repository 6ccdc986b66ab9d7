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

/** How msp_peer_verify_exe() works. */
enum msp_peer_exe {
	/* Never wait: only what is in the kernel's memory counts. */
	MSP_PEER_EXE_CACHED = 1,
	/* Accept a program whose file has been replaced by an upgrade: at
	 * connect() it had no link left, was root's, and neither group nor
	 * others could write it, the process was in PID 1's mount namespace
	 * and so was the file, and the file now at its path is likewise root's
	 * and unwritable. */
	MSP_PEER_EXE_REPLACED = 2
};

MSP_BEGIN_DECLS

/**
 * msp_peer_identify - who is at the other end of an accepted connection
 * @redirect: attached
 * @fd:       accepted TCP socket; call this at once after accept(), for a
 *            client that is gone is unknown
 * @out:      its size has to be set, see defs.h. Filled in; on any error
 *            zeroed but for its size, so that nobody is known, or left alone if
 *            that is too small
 * @info:     optional: which check failed
 *
 * Never blocks; about 3 microseconds. Do it once per connection and keep the
 * answer with it. Names are not filled in: see user_name.
 * Threads: one at a time per redirector.
 * Errors: MSP_ERR_INVAL (also: not IPv4, a size that is too small),
 * MSP_ERR_SYS, MSP_ERR_UNKNOWN_PEER.
 */
MSP_API MSP_MUST_CHECK int msp_peer_identify(struct msp_redirect *redirect,
					     int fd, struct msp_caller *out,
					     struct msp_error_info *info);

/**
 * msp_peer_verify_exe - is the file at caller->exe_path the one that ran?
 * @redirect: attached
 * @root_fd:  directory under which the path is looked up, e.g. an O_PATH
 *            descriptor of /proc/1/root
 * @caller:   facts of msp_peer_identify(); MSP_CALLER_EXE_CHECKED, _VERIFIED
 *            and _REPLACED are set or cleared
 * @how:      or of enum msp_peer_exe
 * @info:     optional: what could not be opened or asked, with errno
 *
 * Compares device, inode, generation, change time, owner and mode in the
 * kernel's terms. A deleted program (exe.nlink 0) is never the one at its
 * path. A caller without a path is checked, and not verified.
 *
 * Opens a file, so it may block: not for an event loop, unless
 * MSP_PEER_EXE_CACHED is given, which ends in MSP_ERR_AGAIN instead; try that
 * first, for the path of a running program is nearly always in memory.
 *
 * MSP_ERR_AGAIN means that the path could not be followed with what the kernel
 * has in memory, and no more: the file may be there, be gone, or be closed to
 * us, or there is no openat2(2) to ask so. Nothing is under way, so there is
 * nothing to poll for: call once more without MSP_PEER_EXE_CACHED where it may
 * block, which never ends in MSP_ERR_AGAIN.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL, which leaves the flags alone; MSP_ERR_SYS,
 * MSP_ERR_AGAIN; then it is neither checked nor verified.
 */
MSP_API MSP_MUST_CHECK int msp_peer_verify_exe(struct msp_redirect *redirect,
					       int root_fd,
					       struct msp_caller *caller,
					       unsigned int how,
					       struct msp_error_info *info);

/**
 * msp_peer_cgroup_path - where in the cgroup tree a caller is
 * @redirect:  attached
 * @cgroup_id: of the caller
 * @out:       set to the path below the mount point, "/..."; "" on error
 * @size:      room in it; 4096 always suffices
 * @info:      optional detail
 *
 * Asks the kernel by number, so what the process has done since does not
 * matter; a path never changes and a number is never used again, so the
 * answer can be kept. Needs CAP_DAC_READ_SEARCH. Never blocks. Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOENT (it has been removed), MSP_ERR_LIMIT,
 * MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int
msp_peer_cgroup_path(const struct msp_redirect *redirect, uint64_t cgroup_id,
		     char *out, size_t size, struct msp_error_info *info);

/**
 * msp_peer_open_root - open the directory executables are looked up under
 * @redirect: attached
 * @path:     e.g. "/proc/1/root", which shows what a sandboxed agent's own
 *            mount tree may hide
 * @len:      its length, below 256
 * @out:      set to an O_PATH descriptor the caller closes; -1 on any error
 * @info:     optional detail
 *
 * Where opening it is refused even to root, our own "/" serves if the kernel
 * says that our mount namespace is that of PID 1.
 * Threads: one at a time for each redirector.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS, MSP_ERR_UNSUPPORTED.
 */
MSP_API MSP_MUST_CHECK int msp_peer_open_root(struct msp_redirect *redirect,
					      const char *path, size_t len,
					      int *out,
					      struct msp_error_info *info);

MSP_END_DECLS

#endif
