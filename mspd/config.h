/* SPDX-License-Identifier: MIT */
/*
 * config.h - the configuration file: the keys of Azure's agent (spec 2.2),
 * so that its file can be used as it is, and ours.
 *
 * One flat JSON object of at most 64 KiB, UTF-8; a byte order mark is skipped.
 * Read once, at start. Paths are absolute. In the first three, %NAME% is
 * replaced by environment variable NAME, or by NAME if there is none. Times are
 * seconds, with up to three decimals and no exponent.
 *
 * Of Azure's agent; what that starts with is taken: null counts as not given,
 * except for folders and poll interval, a path may be relative to where the
 * agent was started, and what makes no sense is replaced, both with a warning:
 *   logFolder            required; ProxyAgent.log, audit.jsonl; "": no log,
 *                        and audit.jsonl goes to statusFolder
 *   latchKeyFolder       required; directory of the keys; "": warns, and is
 *                        /var/lib/azure-proxy-agent/keys
 *   eventFolder          /var/log/azure-proxy-agent/events; of telemetry that
 *                        could not be sent; "": none is kept
 *   maxEventFileCount    30; files of telemetry in eventFolder
 *   fileLogLevelForEvents  none; least severe level of lines that become
 *                        telemetry; these three only with telemetry
 *   pollKeyStatusIntervalInSeconds  15; 0.05-86400; steady poll of the host; 0
 *                        and more than that warn, and are 1 and 86400
 *   fileLogLevel         Info; Error, Warn, Info, Debug or Trace in any case:
 *                        least severe level written to files
 *   fileLogLevelForSystemEvents  Error; the same for stdout and stderr
 *   enableHttpProxyTrace false; true: where requests spent their time, on
 *                        stdout
 *   cgroupRoot           /sys/fs/cgroup; used only if discovery fails
 *   canonicalRequestMode always enforced; any other value warns
 * Accepted and without effect; their type is checked:
 *   monitorIntervalInSeconds, ebpfFileFullPath, ebpfProgramName,
 *   hostGAPluginSupport, wireServerSupport, imdsSupport
 * Ours:
 *   listenAddress        127.0.0.1:3080; a loopback address and a port
 *   wireServerAddress    168.63.129.16:80
 *   imdsAddress          169.254.169.254:80
 *   hostGAPluginAddress  168.63.129.16:32526
 *   statusFolder         /var/log/azure-proxy-agent; of status.json
 *   cgroupPath           none; attach exactly here, without discovery
 *   runFolder            /run/mspd; of the file that tells the listener
 *   consolePath          /dev/console; told how the agent comes up; "": nothing
 *                        is
 *   controlSocket        control.sock in runFolder; root's, tells how the
 *                        agent is; "" or false: none
 *   metricsSocket        metrics.sock in runFolder; the same of metrics
 *   metricsGroup         none; group that may read them, by its name
 *   identityRoot         /proc/1/root; tree executables are verified in
 *   executablePaths      auto; off: the kernel side reads no paths, as under
 *                        lockdown=confidentiality, and rules that name a
 *                        program match nothing
 *   acceptReplacedExecutable  false; true: a running program that an upgrade
 *                        has replaced is still the one at its path, if the
 *                        old file and the new are root's and nobody else
 *                        could have written either
 *   seccomp              enforce; system calls that are none of the agent's
 *                        fail and are counted. kill: they end it. off: there
 *                        is no filter
 *   telemetry            false; true: events are sent to WireServer
 *   foreignNamespaces    auto; connections of other network namespaces are
 *                        refused where the endpoint enforces, else passed to
 *                        the host. deny: always refused. pass: never
 *   maxConnections       4096; 1-65536
 *   maxConnectionsPerUser  0; 0-65536; of one user other than root; 0: a
 *                        quarter of maxConnections
 *   requestsPerSecondPerUser  2000; 0-1000000; of one user, in the long run;
 *                        what is more gets 429. 0: no limit
 *   requestBurstPerUser  4000; 1-1000000; at once, after a while without any
 *   requestRateExemptUids  0; users without that limit: uids, separated by
 *                        commas, at most 32; "": none
 *   maxRequestLineBytes  4096; 64-131072; 414
 *   maxRequestHeadBytes  8192; 2048-131072; memory for a request's head and
 *                        that of its answer; 431, or 414 if not even the
 *                        request line fits
 *   maxRequestHeaders    94; 1-94; as sent by the client; 431. With what the
 *                        agent adds a host sees 100 at most
 *   auditRecordsPerUser  5000; 1-1000000000; records of one user that are
 *                        written at once, in KiB; root: four times as many
 *   auditRecordsPerUserPerSecond  1; 0-1000000; and so many more each second;
 *                        of more, what is identical is merged, and counted
 *   auditMergeIntervalInSeconds    30; 0.05-86400; a record tells how many
 *   requestHeaderTimeoutInSeconds  30; 0.05-3600; until a request's head is in
 *   bodyTimeoutInSeconds  30; 0.05-3600; in which minBodyBytesPerSecond holds
 *   minBodyBytesPerSecond  500; 0-1000000; of a request's body, as far as the
 *                        client is waited for; 0: any byte within
 *                        idleTimeoutInSeconds
 *   idleTimeoutInSeconds           60; 0.05-3600; between two requests or
 *                        bytes; within a body rounded up to a whole second
 *   connectTimeoutInSeconds        5; 0.05-3600; for a connection to the host
 *   upstreamTimeoutInSeconds       60; 0.05-3600; for the host's first byte
 *   totalTimeoutInSeconds          3600; 0.05-86400; from a request's head to
 *                        the end of its answer
 *   keyChannelTimeoutInSeconds     5; 0.05-3600; for one whole call of the key
 *                        channel
 *   identityTimeoutInSeconds       5; 0.05-3600; for the names of a caller
 *   stopTimeoutInSeconds           10; 0.05-3600; for requests under way when
 *                        the agent is to stop
 *   eagerPollIntervalInSeconds     1; 0.05-86400; poll until the host has first
 *                        answered
 *   eagerPollDurationInSeconds     300; 0.05-86400; but no longer than this
 *   hostTimeIntervalInSeconds      900; 0.05-86400; the host's time is taken
 *                        over anew when it is older than this
 *   statusIntervalInSeconds        60; 0.05-86400; status.json, if nothing
 *                        happens that is worth writing it at once
 *   provisioningTimeoutInSeconds   120; 0.05-86400; from the start, or a reset,
 *                        until provisioning has failed
 *   redirectRetryIntervalInSeconds 8; 0.05-86400; longest wait between two
 *                        attempts to redirect
 *   bypassCheckIntervalInSeconds   60; 0.05-86400; search for connections that
 *                        bypass the agent
 *   namesExpiryInSeconds           60; 0.05-86400; how long the names of a user
 *                        and its groups are kept
 *   telemetryIntervalInSeconds     60; 0.05-86400; events are sent; refused
 *                        batches again after a quarter of it, kept files are
 *                        read every 5, the status is sent every 15 of them
 */
#ifndef MSPD_CONFIG_H
#define MSPD_CONFIG_H

#include <limits.h>

#include <msp/msp.h>

#include "mspd/log.h"

#define MSPD_CONFIG_MAX_BYTES 65536
/** Warnings kept; more are counted by the last one. */
#define MSPD_CONFIG_WARNINGS 32
/** Uids in one list. */
#define MSPD_CONFIG_UIDS 32

enum mspd_executable_paths {
	MSPD_EXECUTABLE_PATHS_AUTO = 0,
	MSPD_EXECUTABLE_PATHS_OFF = 1
};

struct mspd_uids {
	uint32_t uid[MSPD_CONFIG_UIDS];
	uint32_t n;
};

/**
 * struct mspd_config - a validated configuration; strings are owned
 * @log_dir:            "" for no files
 * @event_dir:          may be ""
 * @key_dir:            never ""
 * @status_dir:         never ""
 * @cgroup_root:        cgroup2 mount if discovery fails
 * @cgroup_path:        attach exactly here; NULL: discover
 * @identity_root:      directory executables are looked up under
 * @run_dir:            of the file that tells the listener's address
 * @console_path:       "" for none
 * @control_socket:     "" for none; NULL: control.sock in run_dir
 * @metrics_socket:     the same, metrics.sock
 * @metrics_group:      that has it; "": root's
 * @executable_paths:   enum mspd_executable_paths
 * @seccomp:            enum mspd_seccomp
 * @trace:              see enableHttpProxyTrace
 * @accept_replaced:    see acceptReplacedExecutable
 * @telemetry:          are events collected and sent?
 * @max_event_files:    files of events that are kept
 * @event_log_level:    of lines that become events; MSPD_NO_LEVEL: none
 * @foreign:            enum msp_redirect_foreign
 * @poll_ms:            steady poll interval, milliseconds, like all times
 * @listener:           address to listen on
 * @endpoints:          by enum msp_endpoint
 * @file_log_level:     least severe level in files
 * @system_log_level:   least severe level on stdout
 * @max_connections:    of clients, at a time
 * @max_user_connections: of one user; 0: a quarter of all
 * @requests_per_second: of one user; 0: no limit
 * @request_burst:      of one user, at once
 * @rate_exempt:        users without that limit
 * @max_line_bytes:     of a request
 * @max_head_bytes:     memory for heads
 * @max_headers:        that a client may send
 * @audit_records:      of one user at once, in KiB of lines
 * @audit_per_second:   and each second
 * @audit_merge_ms:     how long what is more is counted before that is told
 * @header_timeout_ms:  for a request's head
 * @body_timeout_ms:    over which the speed of a body is looked at
 * @min_body_rate:      bytes per second; 0: no limit
 * @total_timeout_ms:   for a request and its answer
 * @idle_timeout_ms:    between two requests, or two bytes
 * @connect_timeout_ms: for a connection to the host
 * @upstream_timeout_ms: for the first byte of the host's answer
 * @channel_timeout_ms: for a call of the key channel
 * @identity_timeout_ms: for the names of a caller
 * @stop_timeout_ms:    for requests under way at the end
 * @eager_poll_ms:      poll interval until the host has answered
 * @eager_for_ms:       how long that one lasts
 * @host_time_ms:       age at which the host's time is taken over anew
 * @status_ms:          interval of status.json
 * @provisioning_ms:    until provisioning has failed
 * @redirect_retry_ms:  longest wait before redirection is tried again
 * @bypass_check_ms:    interval of the search for what bypasses us
 * @names_expiry_ms:    age at which names are asked for anew
 * @telemetry_ms:       interval of telemetry
 * @warnings:           sentences for the log
 * @n_warnings:         how many
 */
struct mspd_config {
	char *log_dir;
	char *event_dir;
	char *key_dir;
	char *status_dir;
	char *cgroup_root;
	char *cgroup_path;
	char *identity_root;
	char *run_dir;
	char *console_path;
	char *control_socket;
	char *metrics_socket;
	char *metrics_group;
	uint32_t executable_paths;
	uint32_t seccomp;
	bool accept_replaced;
	bool trace;
	bool telemetry;
	uint32_t max_event_files;
	enum mspd_level event_log_level;
	uint32_t foreign;
	uint32_t poll_ms;
	struct msp_address listener;
	struct msp_address endpoints[MSP_ENDPOINTS];
	enum mspd_level file_log_level;
	enum mspd_level system_log_level;
	uint32_t max_connections;
	uint32_t max_user_connections;
	uint32_t requests_per_second;
	uint32_t request_burst;
	struct mspd_uids rate_exempt;
	uint32_t max_line_bytes;
	uint32_t max_head_bytes;
	uint32_t max_headers;
	uint32_t audit_records;
	uint32_t audit_per_second;
	uint32_t audit_merge_ms;
	uint32_t header_timeout_ms;
	uint32_t body_timeout_ms;
	uint32_t min_body_rate;
	uint32_t total_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t connect_timeout_ms;
	uint32_t upstream_timeout_ms;
	uint32_t channel_timeout_ms;
	uint32_t identity_timeout_ms;
	uint32_t stop_timeout_ms;
	uint32_t eager_poll_ms;
	uint32_t eager_for_ms;
	uint32_t host_time_ms;
	uint32_t status_ms;
	uint32_t provisioning_ms;
	uint32_t redirect_retry_ms;
	uint32_t bypass_check_ms;
	uint32_t names_expiry_ms;
	uint32_t telemetry_ms;
	char *warnings[MSPD_CONFIG_WARNINGS];
	size_t n_warnings;
};

/**
 * mspd_config_load - read and validate a configuration file
 * @out:   filled in, free with mspd_config_free(); zeroed on error
 * @path:  the file
 * @error: gets one line on error: "FILE: line L column C: field: cause"
 *
 * Refused: a wrong type, a key given twice, a missing required key; in our own
 * keys a value out of range, a relative path, a malformed address, two of them
 * at one address; more than 64 KiB, bad UTF-8, bad JSON. Unknown keys warn.
 * Returns 0 or -errno: -EINVAL for a file that is wrong, -ENOMEM, or what
 * open(2) and read(2) said.
 */
int mspd_config_load(struct mspd_config *out, const char *path, char *error,
		     size_t error_size);

/* Free what it holds and zero it; a zeroed one is fine. */
void mspd_config_free(struct mspd_config *config);

/**
 * mspd_config_find - the file to read if none was named
 * @beside: room for its path
 *
 * The first that exists of /etc/azure/proxy-agent.json, proxy-agent.json in
 * the folder of this program, and, whether it exists or not,
 * /etc/mspd/mspd.json. Borrowed, from @beside perhaps.
 */
const char *mspd_config_find(char beside[PATH_MAX]);

#endif
