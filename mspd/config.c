/* SPDX-License-Identifier: MIT */
/*
 * In: a configuration file. Out: a validated configuration, or one clear error.
 * Must never go on with a key missing, nor guess what one meant.
 */
#include "mspd/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/text.h"

#define AZURE_NAME "proxy-agent.json"

#define AT(member)  offsetof(struct mspd_config, member)
#define ENDPOINT(e) (AT(endpoints) + (e) * sizeof(struct msp_address))

/* clang-format off */
#define TEXT(name, type, offset, flags, text) \
	{ name, MSPD_FIELD_##type, offset, flags, text, 0, 0, 0, NULL }
#define NUMBER(name, member, number, min, max) \
	NUMBER_WITH(name, member, number, min, max, 0)
#define NUMBER_WITH(name, member, number, min, max, flags) \
	{ name, MSPD_FIELD_NUMBER, AT(member), flags, NULL, number, min, max, \
	  NULL }
#define TIMEOUT(name, member, ms) \
	{ name, MSPD_FIELD_SECONDS, AT(member), 0, NULL, ms, 50, 3600000, NULL }
#define INTERVAL(name, member, ms) INTERVAL_WITH(name, member, ms, 0)
#define INTERVAL_WITH(name, member, ms, flags) \
	{ name, MSPD_FIELD_SECONDS, AT(member), flags, NULL, ms, 50, 86400000, \
	  NULL }
#define WORD(name, member, text, words) \
	{ name, MSPD_FIELD_WORD, AT(member), 0, text, 0, 0, 0, words }
#define SWITCH(name, member) SWITCH_WITH(name, member, 0)
#define SWITCH_WITH(name, member, flags) /* off unless given */ \
	{ name, MSPD_FIELD_BOOL, AT(member), MSPD_FIELD_UNSET | (flags), NULL, \
	  0, 0, 0, NULL }
/* Azure's agent knows it, we need it not. */
#define IGNORED(name, type, flags) \
	{ name, MSPD_FIELD_##type, MSPD_LOADER_NOWHERE, flags, NULL, 0, 0, \
	  UINT32_MAX, NULL }
#define AZURES	 MSPD_FIELD_LENIENT
#define OPTIONAL (MSPD_FIELD_LENIENT | MSPD_FIELD_NULL)

static const struct mspd_field fields[] = {
	TEXT("logFolder", FOLDER, AT(log_dir),
	     AZURES | MSPD_FIELD_REQUIRED | MSPD_FIELD_EMPTY, NULL),
	TEXT("latchKeyFolder", FOLDER, AT(key_dir),
	     AZURES | MSPD_FIELD_REQUIRED, "/var/lib/azure-proxy-agent/keys"),
	TEXT("eventFolder", FOLDER, AT(event_dir), AZURES | MSPD_FIELD_EMPTY,
	     "/var/log/azure-proxy-agent/events"),
	NUMBER_WITH("maxEventFileCount", max_event_files, 30, 0, UINT32_MAX,
		    OPTIONAL),
	TEXT("fileLogLevelForEvents", LEVEL, AT(event_log_level),
	     OPTIONAL | MSPD_FIELD_UNSET, NULL),
	INTERVAL_WITH("pollKeyStatusIntervalInSeconds", poll_ms, 15000, AZURES),
	TEXT("fileLogLevel", LEVEL, AT(file_log_level), OPTIONAL, "Info"),
	TEXT("fileLogLevelForSystemEvents", LEVEL, AT(system_log_level),
	     OPTIONAL, "Error"),
	TEXT("cgroupRoot", PATH, AT(cgroup_root), OPTIONAL, "/sys/fs/cgroup"),
	TEXT("canonicalRequestMode", MODE, MSPD_LOADER_NOWHERE, OPTIONAL, NULL),
	IGNORED("monitorIntervalInSeconds", NUMBER, AZURES),
	IGNORED("ebpfFileFullPath", STRING, OPTIONAL),
	IGNORED("ebpfProgramName", STRING, AZURES),
	SWITCH_WITH("enableHttpProxyTrace", trace, OPTIONAL),
	IGNORED("hostGAPluginSupport", ANY, AZURES),
	IGNORED("wireServerSupport", ANY, AZURES),
	IGNORED("imdsSupport", ANY, AZURES),
	TEXT("listenAddress", LISTENER, AT(listener), 0, "127.0.0.1:3080"),
	TEXT("wireServerAddress", ADDRESS, ENDPOINT(MSP_ENDPOINT_WIRESERVER), 0,
	     "168.63.129.16:80"),
	TEXT("imdsAddress", ADDRESS, ENDPOINT(MSP_ENDPOINT_IMDS), 0,
	     "169.254.169.254:80"),
	TEXT("hostGAPluginAddress", ADDRESS, ENDPOINT(MSP_ENDPOINT_HOSTGA), 0,
	     "168.63.129.16:32526"),
	TEXT("statusFolder", PATH, AT(status_dir), 0,
	     "/var/log/azure-proxy-agent"),
	TEXT("cgroupPath", PATH, AT(cgroup_path), MSPD_FIELD_UNSET, NULL),
	TEXT("runFolder", PATH, AT(run_dir), 0, "/run/mspd"),
	TEXT("consolePath", PATH, AT(console_path), MSPD_FIELD_EMPTY,
	     "/dev/console"),
	TEXT("controlSocket", PATH, AT(control_socket),
	     MSPD_FIELD_UNSET | MSPD_FIELD_EMPTY | MSPD_FIELD_FALSE, NULL),
	TEXT("metricsSocket", PATH, AT(metrics_socket),
	     MSPD_FIELD_UNSET | MSPD_FIELD_EMPTY | MSPD_FIELD_FALSE, NULL),
	TEXT("metricsGroup", NAME, AT(metrics_group),
	     MSPD_FIELD_EMPTY | MSPD_FIELD_FALSE, ""),
	TEXT("identityRoot", PATH, AT(identity_root), 0, "/proc/1/root"),
	WORD("executablePaths", executable_paths, "auto", "auto|off"),
	SWITCH("acceptReplacedExecutable", accept_replaced),
	WORD("seccomp", seccomp, "enforce", "enforce|kill|off"),
	SWITCH("telemetry", telemetry),
	WORD("foreignNamespaces", foreign, "auto", "auto|deny|pass"),
	NUMBER("maxConnections", max_connections, 4096, 1, 65536),
	NUMBER("maxConnectionsPerUser", max_user_connections, 0, 0, 65536),
	NUMBER("requestsPerSecondPerUser", requests_per_second, 2000, 0,
	       1000000),
	NUMBER("requestBurstPerUser", request_burst, 4000, 1, 1000000),
	TEXT("requestRateExemptUids", UIDS, AT(rate_exempt), MSPD_FIELD_EMPTY,
	     "0"),
	NUMBER("maxRequestLineBytes", max_line_bytes, 4096, 64, 131072),
	NUMBER("maxRequestHeadBytes", max_head_bytes, 8192, 2048, 131072),
	NUMBER("maxRequestHeaders", max_headers, 94, 1, 94),
	NUMBER("auditRecordsPerUser", audit_records, 5000, 1, 1000000000),
	NUMBER("auditRecordsPerUserPerSecond", audit_per_second, 1, 0, 1000000),
	INTERVAL("auditMergeIntervalInSeconds", audit_merge_ms, 30000),
	TIMEOUT("requestHeaderTimeoutInSeconds", header_timeout_ms, 30000),
	TIMEOUT("bodyTimeoutInSeconds", body_timeout_ms, 30000),
	NUMBER("minBodyBytesPerSecond", min_body_rate, 500, 0, 1000000),
	TIMEOUT("idleTimeoutInSeconds", idle_timeout_ms, 60000),
	TIMEOUT("connectTimeoutInSeconds", connect_timeout_ms, 5000),
	TIMEOUT("upstreamTimeoutInSeconds", upstream_timeout_ms, 60000),
	INTERVAL("totalTimeoutInSeconds", total_timeout_ms, 3600000),
	TIMEOUT("keyChannelTimeoutInSeconds", channel_timeout_ms, 5000),
	TIMEOUT("identityTimeoutInSeconds", identity_timeout_ms, 5000),
	TIMEOUT("stopTimeoutInSeconds", stop_timeout_ms, 10000),
	INTERVAL("eagerPollIntervalInSeconds", eager_poll_ms, 1000),
	INTERVAL("eagerPollDurationInSeconds", eager_for_ms, 300000),
	INTERVAL("hostTimeIntervalInSeconds", host_time_ms, 900000),
	INTERVAL("statusIntervalInSeconds", status_ms, 60000),
	INTERVAL("provisioningTimeoutInSeconds", provisioning_ms, 120000),
	INTERVAL("redirectRetryIntervalInSeconds", redirect_retry_ms, 8000),
	INTERVAL("bypassCheckIntervalInSeconds", bypass_check_ms, 60000),
	INTERVAL("namesExpiryInSeconds", names_expiry_ms, 60000),
	INTERVAL("telemetryIntervalInSeconds", telemetry_ms, 60000),
};
/* clang-format on */

#define FIELDS (sizeof(fields) / sizeof(fields[0]))
_Static_assert(FIELDS <= MSPD_LOADER_KEYS_MAX, "mspd_loader.seen has no room");

const struct mspd_field *mspd_field_find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < FIELDS; i++)
		if (strlen(fields[i].name) == len &&
		    memcmp(fields[i].name, name, len) == 0)
			return &fields[i];
	return NULL;
}

size_t mspd_field_index(const struct mspd_field *field)
{
	return (size_t)(field - fields);
}

/* ---- the file ---------------------------------------------------------- */

static int check_utf8(struct mspd_loader *l)
{
	size_t i, n;

	for (i = 0; i < l->len; i += n) {
		n = mspd_utf8_step(l->data + i, l->len - i);
		if (!n)
			return mspd_loader_fail_at(l, i, "not UTF-8");
	}
	return 0;
}

static int read_file(struct mspd_loader *l, char *buffer, size_t size)
{
	struct stat st;
	ssize_t n = 0;
	int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return mspd_loader_fail(l, -errno, NULL,
					"cannot be opened (%s)",
					strerrordesc_np(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return mspd_loader_fail(l, -EINVAL, NULL,
					"is not a regular file");
	}
	while (l->len < size) {
		n = read(fd, buffer + l->len, size - l->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		l->len += (size_t)n;
	}
	if (n < 0)
		mspd_loader_fail(l, -errno, NULL, "cannot be read (%s)",
				 strerrordesc_np(errno));
	else if (l->len == size)
		mspd_loader_fail(l, -EINVAL, NULL, "is longer than %d bytes",
				 MSPD_CONFIG_MAX_BYTES);
	close(fd);
	return l->rc;
}

static void skip_mark(struct mspd_loader *l)
{
	static const char mark[] = "\xef\xbb\xbf";

	if (l->len >= 3 && memcmp(l->data, mark, 3) == 0) {
		l->data += 3;
		l->len -= 3;
	}
}

/* ---- what is not in the file ------------------------------------------- */

static int set_default(struct mspd_loader *l, const struct mspd_field *f)
{
	l->field = f;
	if (f->flags & MSPD_FIELD_REQUIRED)
		return mspd_loader_fail(l, -EINVAL, f->name,
					"required key is missing");
	if (f->offset == MSPD_LOADER_NOWHERE || (f->flags & MSPD_FIELD_UNSET))
		return 0;
	if (f->type == MSPD_FIELD_NUMBER || f->type == MSPD_FIELD_SECONDS)
		*(uint32_t *)((char *)l->out + f->offset) = f->number;
	else
		mspd_loader_set_text(l, f->text, strlen(f->text));
	return l->rc;
}

static int set_defaults(struct mspd_loader *l)
{
	size_t i;
	int rc;

	for (i = 0; i < FIELDS; i++) {
		if (l->seen[i] && !l->null[i])
			continue;
		rc = set_default(l, &fields[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The kernel side tells endpoints by address: each needs its own. */
static int check_addresses(struct mspd_loader *l)
{
	static const char *const names[] = { "wireServerAddress", "imdsAddress",
					     "hostGAPluginAddress",
					     "listenAddress" };
	const struct mspd_config *c = l->out;
	const struct msp_address all[] = {
		c->endpoints[MSP_ENDPOINT_WIRESERVER],
		c->endpoints[MSP_ENDPOINT_IMDS],
		c->endpoints[MSP_ENDPOINT_HOSTGA], c->listener
	};
	size_t i, k;

	for (i = 1; i < sizeof(all) / sizeof(all[0]); i++)
		for (k = 0; k < i; k++)
			if (all[i].ip == all[k].ip &&
			    all[i].port == all[k].port)
				return mspd_loader_fail(l, -EINVAL, names[i],
							"same address as %s",
							names[k]);
	return 0;
}

/* ---- public ------------------------------------------------------------ */

static int load(struct mspd_loader *l, char *buffer)
{
	int rc = read_file(l, buffer, MSPD_CONFIG_MAX_BYTES + 1);

	if (rc < 0)
		return rc;
	l->data = buffer;
	skip_mark(l);
	rc = check_utf8(l);
	if (rc < 0)
		return rc;
	rc = mspd_loader_parse(l);
	if (rc < 0)
		return rc;
	rc = set_defaults(l);
	if (rc < 0)
		return rc;
	rc = check_addresses(l);
	if (rc < 0)
		return rc;
	mspd_loader_close_warnings(l);
	return l->rc;
}

int mspd_config_load(struct mspd_config *out, const char *path, char *error,
		     size_t error_size)
{
	struct mspd_loader l = { .out = out,
				 .path = path,
				 .error = error,
				 .error_size = error_size };
	char *buffer = malloc(MSPD_CONFIG_MAX_BYTES + 1);
	int rc;

	memset(out, 0, sizeof(*out));
	out->event_log_level = MSPD_NO_LEVEL;
	if (error_size)
		error[0] = '\0';
	rc = buffer ? load(&l, buffer)
		    : mspd_loader_fail(&l, -ENOMEM, NULL, "no memory");
	free(buffer);
	if (rc < 0)
		mspd_config_free(out);
	return rc;
}

void mspd_config_free(struct mspd_config *config)
{
	size_t i;

	free(config->log_dir);
	free(config->event_dir);
	free(config->key_dir);
	free(config->status_dir);
	free(config->cgroup_root);
	free(config->cgroup_path);
	free(config->identity_root);
	free(config->run_dir);
	free(config->console_path);
	free(config->control_socket);
	free(config->metrics_socket);
	free(config->metrics_group);
	for (i = 0; i < config->n_warnings; i++)
		free(config->warnings[i]);
	memset(config, 0, sizeof(*config));
}

/* Where Azure's agent looks second: beside the program itself. */
static bool find_beside(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash ||
	    (size_t)(slash + 1 - path) + sizeof(AZURE_NAME) > PATH_MAX)
		return false;
	memcpy(slash + 1, AZURE_NAME, sizeof(AZURE_NAME));
	return access(path, F_OK) == 0;
}

const char *mspd_config_find(char beside[PATH_MAX])
{
	static const char azure[] = "/etc/azure/" AZURE_NAME;

	if (access(azure, F_OK) == 0)
		return azure;
	return find_beside(beside) ? beside : "/etc/mspd/mspd.json";
}
