/* SPDX-License-Identifier: MIT */
/*
 * In: configuration files, right and wrong. Out: whether each wrong one gives
 * one clear error, and each right one what it says.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/config.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define REQUIRED "\"logFolder\": \"/l\", \"latchKeyFolder\": \"/k\""

static struct mspd_config config;
static char error[512];

static void setup(void)
{
	scratch_make();
}

static void teardown(void)
{
	mspd_config_free(&config);
	scratch_remove();
}

static int load_bytes(const char *text, size_t len)
{
	scratch_write("c.json", text, len);
	return mspd_config_load(&config, scratch_path("c.json"), error,
				sizeof(error));
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void assert_loads(const char *text)
{
	int rc = load(text);

	ck_assert_msg(rc == 0, "%s", error);
}

/* The error without the name of the file. */
static const char *cause(void)
{
	const char *path = scratch_path("c.json");
	size_t len = strlen(path);

	ck_assert_int_eq(strncmp(error, path, len), 0);
	ck_assert_int_eq(strncmp(error + len, ": ", 2), 0);
	return error + len + 2;
}

static void assert_address(const struct msp_address *a, const char *ip,
			   unsigned int port)
{
	ck_assert_uint_eq(a->ip, inet_addr(ip));
	ck_assert_uint_eq(a->port, port);
}

/* ---- what is right ----------------------------------------------------- */

START_TEST(config_fills_in_defaults)
{
	assert_loads("{" REQUIRED "}");
	ck_assert_str_eq(config.log_dir, "/l");
	ck_assert_str_eq(config.key_dir, "/k");
	ck_assert_str_eq(config.event_dir, "/var/log/azure-proxy-agent/events");
	ck_assert_str_eq(config.status_dir, "/var/log/azure-proxy-agent");
	ck_assert_str_eq(config.cgroup_root, "/sys/fs/cgroup");
	ck_assert_ptr_null(config.cgroup_path);
	ck_assert_str_eq(config.identity_root, "/proc/1/root");
	ck_assert_str_eq(config.run_dir, "/run/mspd");
	ck_assert_uint_eq(config.executable_paths, MSPD_EXECUTABLE_PATHS_AUTO);
	ck_assert(!config.accept_replaced);
	ck_assert_uint_eq(config.foreign, MSP_FOREIGN_AUTO);
	ck_assert_uint_eq(config.poll_ms, 15000);
	ck_assert_int_eq(config.file_log_level, MSPD_INFO);
	ck_assert_int_eq(config.system_log_level, MSPD_ERROR);
	ck_assert_uint_eq(config.max_connections, 4096);
	ck_assert_uint_eq(config.max_user_connections, 0);
	ck_assert_uint_eq(config.header_timeout_ms, 30000);
	ck_assert_uint_eq(config.idle_timeout_ms, 60000);
	ck_assert_uint_eq(config.connect_timeout_ms, 5000);
	ck_assert_uint_eq(config.upstream_timeout_ms, 60000);
	ck_assert_uint_eq(config.channel_timeout_ms, 5000);
	ck_assert_uint_eq(config.identity_timeout_ms, 5000);
	ck_assert_uint_eq(config.stop_timeout_ms, 10000);
	ck_assert_uint_eq(config.eager_poll_ms, 1000);
	ck_assert_uint_eq(config.eager_for_ms, 300000);
	ck_assert_uint_eq(config.host_time_ms, 900000);
	ck_assert_uint_eq(config.status_ms, 60000);
	ck_assert_uint_eq(config.provisioning_ms, 120000);
	ck_assert_str_eq(config.console_path, "/dev/console");
	ck_assert_ptr_null(config.control_socket);
	ck_assert_ptr_null(config.metrics_socket);
	ck_assert_str_eq(config.metrics_group, "");
	ck_assert_uint_eq(config.redirect_retry_ms, 8000);
	ck_assert_uint_eq(config.bypass_check_ms, 60000);
	ck_assert_uint_eq(config.names_expiry_ms, 60000);
	ck_assert_uint_eq(config.n_warnings, 0);
	assert_address(&config.listener, "127.0.0.1", 3080);
	assert_address(&config.endpoints[MSP_ENDPOINT_WIRESERVER],
		       "168.63.129.16", 80);
	assert_address(&config.endpoints[MSP_ENDPOINT_IMDS], "169.254.169.254",
		       80);
	assert_address(&config.endpoints[MSP_ENDPOINT_HOSTGA], "168.63.129.16",
		       32526);
}
END_TEST

static const char every_key[] =
	"{" REQUIRED ", \"eventFolder\": \"\", \"statusFolder\": \"/s\""
	", \"pollKeyStatusIntervalInSeconds\": 1"
	", \"fileLogLevel\": \"trace\""
	", \"fileLogLevelForSystemEvents\": \"WARN\""
	", \"cgroupRoot\": \"/cg\", \"cgroupPath\": \"/cg/x\""
	", \"identityRoot\": \"/\", \"runFolder\": \"/r\""
	", \"executablePaths\": \"off\""
	", \"acceptReplacedExecutable\": true"
	", \"foreignNamespaces\": \"pass\""
	", \"maxConnectionsPerUser\": 9"
	", \"canonicalRequestMode\": \" Enforce\\t\""
	", \"listenAddress\": \"127.1.2.3:1\""
	", \"wireServerAddress\": \"10.0.0.1:65535\""
	", \"imdsAddress\": \"10.0.0.2:2\""
	", \"hostGAPluginAddress\": \"10.0.0.1:3\""
	", \"maxConnections\": 65536"
	", \"requestHeaderTimeoutInSeconds\": 2"
	", \"idleTimeoutInSeconds\": 3"
	", \"upstreamTimeoutInSeconds\": 4"
	", \"identityTimeoutInSeconds\": 3600"
	", \"connectTimeoutInSeconds\": 0.05"
	", \"keyChannelTimeoutInSeconds\": 0.5"
	", \"stopTimeoutInSeconds\": 6"
	", \"eagerPollIntervalInSeconds\": 0.07"
	", \"eagerPollDurationInSeconds\": 86400"
	", \"hostTimeIntervalInSeconds\": 9"
	", \"statusIntervalInSeconds\": 10"
	", \"redirectRetryIntervalInSeconds\": 11"
	", \"provisioningTimeoutInSeconds\": 0.5"
	", \"consolePath\": \"\", \"telemetry\": true"
	", \"controlSocket\": \"/c\", \"metricsSocket\": false"
	", \"metricsGroup\": \"watchers\""
	", \"maxEventFileCount\": 0"
	", \"fileLogLevelForEvents\": \"error\""
	", \"telemetryIntervalInSeconds\": 14"
	", \"bypassCheckIntervalInSeconds\": 12"
	", \"namesExpiryInSeconds\": 13.125 }\n";

static const struct {
	const uint32_t *field;
	uint32_t want;
} every_number[] = {
	{ &config.poll_ms, 1000 },
	{ &config.max_user_connections, 9 },
	{ &config.max_connections, 65536 },
	{ &config.header_timeout_ms, 2000 },
	{ &config.idle_timeout_ms, 3000 },
	{ &config.connect_timeout_ms, 50 },
	{ &config.upstream_timeout_ms, 4000 },
	{ &config.channel_timeout_ms, 500 },
	{ &config.identity_timeout_ms, 3600000 },
	{ &config.stop_timeout_ms, 6000 },
	{ &config.eager_poll_ms, 70 },
	{ &config.eager_for_ms, 86400000 },
	{ &config.host_time_ms, 9000 },
	{ &config.status_ms, 10000 },
	{ &config.redirect_retry_ms, 11000 },
	{ &config.provisioning_ms, 500 },
	{ &config.bypass_check_ms, 12000 },
	{ &config.names_expiry_ms, 13125 },
	{ &config.max_event_files, 0 },
	{ &config.telemetry_ms, 14000 },
};

START_TEST(config_takes_every_key)
{
	int i;

	assert_loads(every_key);
	for (i = 0; i < COUNT(every_number); i++)
		ck_assert_uint_eq(*every_number[i].field, every_number[i].want);
	ck_assert_str_eq(config.event_dir, "");
	ck_assert_str_eq(config.status_dir, "/s");
	ck_assert_int_eq(config.file_log_level, MSPD_TRACE);
	ck_assert_int_eq(config.system_log_level, MSPD_WARN);
	ck_assert_str_eq(config.cgroup_root, "/cg");
	ck_assert_str_eq(config.cgroup_path, "/cg/x");
	ck_assert_str_eq(config.identity_root, "/");
	ck_assert_str_eq(config.run_dir, "/r");
	ck_assert_uint_eq(config.executable_paths, MSPD_EXECUTABLE_PATHS_OFF);
	ck_assert(config.accept_replaced);
	ck_assert_uint_eq(config.foreign, MSP_FOREIGN_PASS);
	assert_address(&config.listener, "127.1.2.3", 1);
	assert_address(&config.endpoints[MSP_ENDPOINT_WIRESERVER], "10.0.0.1",
		       65535);
	assert_address(&config.endpoints[MSP_ENDPOINT_IMDS], "10.0.0.2", 2);
	assert_address(&config.endpoints[MSP_ENDPOINT_HOSTGA], "10.0.0.1", 3);
	ck_assert_str_eq(config.console_path, "");
	ck_assert_str_eq(config.control_socket, "/c");
	ck_assert_str_eq(config.metrics_socket, "");
	ck_assert_str_eq(config.metrics_group, "watchers");
	ck_assert(config.telemetry);
	ck_assert_int_eq(config.event_log_level, MSPD_ERROR);
	ck_assert_uint_eq(config.n_warnings, 0);
}
END_TEST

START_TEST(config_skips_byte_order_mark)
{
	assert_loads("\xef\xbb\xbf{" REQUIRED "}");
	mspd_config_free(&config);
	ck_assert_int_eq(load("\xef\xbb\xbf{ x"), -EINVAL);
	ck_assert_int_eq(strncmp(cause(), "line 1 column 3: ", 17), 0);
}
END_TEST

/* ---- files as they are ------------------------------------------------- */

/* Run from the top of the tree. */
static void load_file(const char *path)
{
	char *text = malloc(MSPD_CONFIG_MAX_BYTES);
	FILE *f = fopen(path, "re");
	size_t len;

	ck_assert_ptr_nonnull(text);
	ck_assert_msg(f != NULL, "%s", path);
	len = fread(text, 1, MSPD_CONFIG_MAX_BYTES, f);
	fclose(f);
	ck_assert_msg(load_bytes(text, len) == 0, "%s", error);
	free(text);
}

/* A VM has this one, and nobody wants to hear of it (spec 2.3). */
START_TEST(config_takes_the_file_of_azures_agent)
{
	load_file("tests/data/proxy-agent.json");
	ck_assert_str_eq(config.log_dir, "/var/log/azure-proxy-agent");
	ck_assert_str_eq(config.event_dir, "/var/log/azure-proxy-agent/events");
	ck_assert_str_eq(config.key_dir, "/var/lib/azure-proxy-agent/keys");
	ck_assert_uint_eq(config.poll_ms, 15000);
	ck_assert_str_eq(config.cgroup_root, "/sys/fs/cgroup");
	ck_assert_int_eq(config.file_log_level, MSPD_TRACE);
	ck_assert_int_eq(config.system_log_level, MSPD_INFO);
	/* except that requests are matched as it only pretends to */
	ck_assert_uint_eq(config.n_warnings, 1);
	ck_assert_str_eq(config.warnings[0],
			 "canonicalRequestMode: has no effect, requests are "
			 "always matched in their canonical form");
}
END_TEST

static const char *const shipped[] = { "mspd/mspd.json",
				       "mspd/proxy-agent.json" };

START_TEST(config_that_is_shipped_loads_without_warning)
{
	load_file(shipped[_i]);
	ck_assert_uint_eq(config.n_warnings, 0);
}
END_TEST

static const char *const unneeded[] = {
	"\"monitorIntervalInSeconds\": 0", "\"ebpfProgramName\": \"x.o\"",
	"\"ebpfFileFullPath\": \"\"",	   "\"hostGAPluginSupport\": 1",
	"\"wireServerSupport\": 2",	   "\"imdsSupport\": {\"a\": []}",
};

START_TEST(config_says_nothing_of_keys_that_do_nothing)
{
	char text[512];

	snprintf(text, sizeof(text), "{ %s, " REQUIRED "}", unneeded[_i]);
	assert_loads(text);
	ck_assert_uint_eq(config.n_warnings, 0);
}
END_TEST

/* ---- times ------------------------------------------------------------- */

static const struct {
	const char *value;
	uint32_t ms; /* 0: refused */
} times[] = {
	{ "15", 15000 },
	{ "0.25", 250 },
	{ "0.05", 50 },
	{ "0.050", 50 },
	{ "1.0", 1000 },
	{ "1.001", 1001 },
	{ "86400", 86400000 },
	{ "86400.000", 86400000 },
	{ "0.0", 0 },
	{ "0.049", 0 },
	{ "0.0501", 0 },
	{ "0.0500", 0 },
	{ "1.0000000000000000000000000000000000000000000000001", 0 },
	{ "86400.001", 0 },
	{ "4294967.296", 0 },
	{ "4294967.295", 0 },
	{ "4294968.296", 0 },
	{ "18446744073709551.631", 0 },
	{ "99999999999999999999999999999999", 0 },
	{ "-1", 0 },
	{ "-0.25", 0 },
	{ "-0", 0 },
	{ "15e0", 0 },
	{ "1.5e1", 0 },
	{ "1.5E+1", 0 },
	{ "150e-1", 0 },
	{ "1e999", 0 },
	{ "1e-999", 0 },
};

START_TEST(config_takes_times_exactly)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"pollKeyStatusIntervalInSeconds\": %s, " REQUIRED "}",
		 times[_i].value);
	if (times[_i].ms) {
		assert_loads(text);
		ck_assert_uint_eq(config.poll_ms, times[_i].ms);
		return;
	}
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_str_eq(cause(),
			 "line 1 column 36: pollKeyStatusIntervalInSeconds: "
			 "must be from 0.05 to 86400 seconds, with at most "
			 "three decimals and no exponent");
}
END_TEST

/* ---- warnings ---------------------------------------------------------- */

static const struct {
	const char *fields;
	const char *warning;
} warned[] = {
	{ "\"x\": 1", "line 1 column 3: unknown key \"x\"" },
	{ "\n \"LogFolder\": 1", "line 2 column 2: unknown key \"LogFolder\"" },
	{ "\"x\": {\"logFolder\": [null, true, \"\\u0000\", 1e99]}",
	  "line 1 column 3: unknown key \"x\"" },
	{ "\"a\\nb\": 1", "line 1 column 3: unknown key \"a\\nb\"" },
	{ "\"fileLogLevel\": \"loud\"",
	  "fileLogLevel: unknown level, Info is used" },
	{ "\"fileLogLevel\": \"\"",
	  "fileLogLevel: unknown level, Info is used" },
	{ "\"canonicalRequestMode\": \"off\"",
	  "canonicalRequestMode: has no effect, requests are always matched in "
	  "their canonical form" },
	{ "\"canonicalRequestMode\": \"enforced\"",
	  "canonicalRequestMode: has no effect, requests are always matched in "
	  "their canonical form" },
	{ "\"canonicalRequestMode\": \"\"",
	  "canonicalRequestMode: has no effect, requests are always matched in "
	  "their canonical form" },
	{ "\"fileLogLevelForEvents\": \"most\"",
	  "fileLogLevelForEvents: unknown level, Info is used" },
	/* what Azure's agent starts with */
	{ "\"pollKeyStatusIntervalInSeconds\": 0",
	  "pollKeyStatusIntervalInSeconds: 0 is too short, 1 is used" },
	{ "\"pollKeyStatusIntervalInSeconds\": 86401",
	  "pollKeyStatusIntervalInSeconds: 86401 is too long, 86400 is used" },
	{ "\"pollKeyStatusIntervalInSeconds\": 18446744073709551615",
	  "pollKeyStatusIntervalInSeconds: 18446744073709551615 is too long, "
	  "86400 is used" },
	{ "\"maxEventFileCount\": 4294967296",
	  "maxEventFileCount: 4294967296 is too large, 4294967295 is used" },
	{ "\"cgroupRoot\": \"\"",
	  "cgroupRoot: is empty, /sys/fs/cgroup is used" },
	{ "\"eventFolder\": \"events\"",
	  "eventFolder: is not an absolute path, /events is used" },
	{ "\"cgroupRoot\": \"sys/fs\"",
	  "cgroupRoot: is not an absolute path, /sys/fs is used" },
};

START_TEST(config_warns)
{
	char text[512];

	snprintf(text, sizeof(text), "{ %s, " REQUIRED "}", warned[_i].fields);
	ck_assert_int_eq(chdir("/"), 0); /* as for a service */
	assert_loads(text);
	ck_assert_uint_eq(config.n_warnings, 1);
	ck_assert_str_eq(config.warnings[0], warned[_i].warning);
	ck_assert_str_eq(config.log_dir, "/l");
}
END_TEST

START_TEST(config_bounds_its_warnings)
{
	char text[8192] = "{" REQUIRED;
	size_t len = strlen(text);
	int i;

	for (i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					", \"key%d\": 0", i);
	snprintf(text + len, sizeof(text) - len, "}");
	assert_loads(text);
	ck_assert_uint_eq(config.n_warnings, MSPD_CONFIG_WARNINGS);
	ck_assert_str_eq(config.warnings[MSPD_CONFIG_WARNINGS - 1],
			 "69 more warnings were left out");
}
END_TEST

/* ---- folders ----------------------------------------------------------- */

static const struct {
	const char *value;
	const char *path;
} folders[] = {
	{ "/a/%MSP_TEST_A%/b", "/a/one/b" },
	{ "%MSP_TEST_ROOT%/b", "/root/b" },
	{ "/%MSP_TEST_A%%MSP_TEST_A%", "/oneone" },
	{ "/%MSP_TEST_UNSET%/b", "/MSP_TEST_UNSET/b" },
	{ "/%MSP-TEST%/b", "/%MSP-TEST%/b" },
	{ "/100%", "/100%" },
	{ "/%%", "/%%" },
	{ "/a%/%MSP_TEST_A%", "/a%/one" },
	{ "/%MSP_TEST_B%", "/%MSP_TEST_A%" }, /* once only */
	{ "/%MSP_TEST_EMPTY%b", "/b" },
};

START_TEST(config_expands_variables)
{
	char text[256];

	setenv("MSP_TEST_A", "one", 1);
	setenv("MSP_TEST_B", "%MSP_TEST_A%", 1);
	setenv("MSP_TEST_ROOT", "/root", 1);
	setenv("MSP_TEST_EMPTY", "", 1);
	snprintf(text, sizeof(text),
		 "{\"logFolder\": \"%s\", \"eventFolder\": \"%s\", "
		 "\"latchKeyFolder\": \"%s\", \"statusFolder\": \"/%%A%%\"}",
		 folders[_i].value, folders[_i].value, folders[_i].value);
	assert_loads(text);
	ck_assert_str_eq(config.log_dir, folders[_i].path);
	ck_assert_str_eq(config.event_dir, folders[_i].path);
	ck_assert_str_eq(config.key_dir, folders[_i].path);
	ck_assert_str_eq(config.status_dir, "/%A%");
}
END_TEST

START_TEST(config_bounds_what_variables_become)
{
	char value[2000];

	memset(value, 'a', sizeof(value));
	value[0] = '/';
	value[1999] = '\0';
	setenv("MSP_TEST_LONG", value, 1);
	ck_assert_int_eq(load("{\"logFolder\": \"%MSP_TEST_LONG%\"}"), -EINVAL);
	ck_assert_str_eq(cause(), "line 1 column 15: logFolder: longer than "
				  "1024 bytes");
	mspd_config_free(&config);
	value[1025] = '\0';
	setenv("MSP_TEST_LONG", value, 1);
	ck_assert_int_eq(load("{\"logFolder\": \"%MSP_TEST_LONG%\"}"), -EINVAL);
	value[1024] = '\0';
	setenv("MSP_TEST_LONG", value, 1);
	assert_loads("{\"logFolder\": \"%MSP_TEST_LONG%\", "
		     "\"latchKeyFolder\": \"/k\"}");
	ck_assert_uint_eq(strlen(config.log_dir), 1024);
}
END_TEST

/* ---- what is wrong ----------------------------------------------------- */

static const struct {
	const char *text;
	const char *cause;
} wrong[] = {
	/* not JSON, not an object */
	{ "", "line 1 column 1: parse error: premature EOF" },
	{ "  \n ", "line 2 column 2: parse error: premature EOF" },
	{ "\n  5", "line 2 column 3: must be a JSON object" },
	{ " \"a\"", "line 1 column 2: must be a JSON object" },
	{ "null", "line 1 column 1: must be a JSON object" },
	{ "true", "line 1 column 1: must be a JSON object" },
	{ "[1]", "line 1 column 1: must be a JSON object" },
	{ "{} x", "line 1 column 4: parse error: trailing garbage" },
	{ "{}\n{}", "line 2 column 1: parse error: trailing garbage" },
	{ "{}\n\"x", "line 2 column 3: parse error: trailing garbage" },
	{ "{\"a\": 1,\n }", "line 2 column 2: parse error: invalid object key "
			    "(must be a string)" },
	{ "{" REQUIRED, "line 1 column 43: parse error: premature EOF" },
	{ "{/* a */}", "line 1 column 2: lexical error: probable comment found "
		       "in input text, comments are not enabled." },
	{ "{'a': 1}",
	  "line 1 column 2: lexical error: invalid char in json text." },
	{ "{\"a\": tru}",
	  "line 1 column 7: lexical error: invalid string in json text." },
	{ "{\"a\tb\": 1}", "line 1 column 2: lexical error: invalid character "
			   "inside string." },
	/* bytes and escapes that are no text */
	{ "{\n\"x\": \"\xff\"}", "line 2 column 7: not UTF-8" },
	{ "{\"x\": \"\xc0\xaf\"}", "line 1 column 8: not UTF-8" },
	{ "{\"x\": \"\xed\xa0\x80\"}", "line 1 column 8: not UTF-8" },
	{ "{\"x\": \"\\ud800\"}", "line 1 column 7: malformed \\u escape" },
	{ "{\"x\": \"\\udc00\"}", "line 1 column 7: malformed \\u escape" },
	{ "{\"x\": \"\\ud800\\u0041\"}",
	  "line 1 column 7: malformed \\u escape" },
	{ "{\"x\": [\"\\uD83Dx\"]}", "line 1 column 8: malformed \\u escape" },
	{ "{\"\\uDE00\": 1}", "line 1 column 2: malformed \\u escape" },
	/* keys */
	{ "{}", "logFolder: required key is missing" },
	{ "{\"latchKeyFolder\": \"/k\"}",
	  "logFolder: required key is missing" },
	{ "{\"logFolder\": \"/k\"}",
	  "latchKeyFolder: required key is missing" },
	{ "{" REQUIRED ",\n\"logFolder\": \"/l\"}",
	  "line 2 column 1: logFolder: given twice" },
	{ "{" REQUIRED ",\n\"log\\u0046older\": \"/l\"}",
	  "line 2 column 1: logFolder: given twice" },
	/* types */
	{ "{\"logFolder\": 1}",
	  "line 1 column 15: logFolder: must be a string" },
	{ "{\"logFolder\":\n   null}",
	  "line 2 column 4: logFolder: must be a string" },
	{ "{\"logFolder\": true}",
	  "line 1 column 15: logFolder: must be a string" },
	{ "{\"logFolder\": {}}",
	  "line 1 column 15: logFolder: must be a string" },
	{ "{\"logFolder\": [\"/l\"]}",
	  "line 1 column 15: logFolder: must be a string" },
	{ "{\"maxConnections\": \"1\"}",
	  "line 1 column 20: maxConnections: must be a whole number" },
	{ "{\"enableHttpProxyTrace\": 1}",
	  "line 1 column 26: enableHttpProxyTrace: must be true or false" },
	{ "{\"enableHttpProxyTrace\": \"true\"}",
	  "line 1 column 26: enableHttpProxyTrace: must be true or false" },
	{ "{\"ebpfProgramName\": 1}",
	  "line 1 column 21: ebpfProgramName: must be a string" },
	{ "{\"acceptReplacedExecutable\": 1}",
	  "line 1 column 30: acceptReplacedExecutable: must be true or false" },
	/* words */
	{ "{\"foreignNamespaces\": \"allow\"}",
	  "line 1 column 23: foreignNamespaces: must be one of "
	  "auto|deny|pass" },
	{ "{\"foreignNamespaces\": \"\"}",
	  "line 1 column 23: foreignNamespaces: must be one of "
	  "auto|deny|pass" },
	{ "{\"foreignNamespaces\": \"denyx\"}",
	  "line 1 column 23: foreignNamespaces: must be one of "
	  "auto|deny|pass" },
	{ "{\"executablePaths\": \"Auto\"}",
	  "line 1 column 21: executablePaths: must be one of auto|off" },
	/* numbers */
	{ "{\"maxConnections\": 0}", "line 1 column 20: maxConnections: must "
				     "be a whole number from 1 to 65536" },
	{ "{\"maxConnections\": 65537}",
	  "line 1 column 20: maxConnections: must be a whole number from 1 to "
	  "65536" },
	{ "{\"maxConnections\": -1}", "line 1 column 20: maxConnections: must "
				      "be a whole number from 1 to 65536" },
	{ "{\"maxConnections\": 1.0}",
	  "line 1 column 20: maxConnections: must be a whole number from 1 to "
	  "65536" },
	{ "{\"maxConnections\": 1e2}",
	  "line 1 column 20: maxConnections: must be a whole number from 1 to "
	  "65536" },
	{ "{\"maxConnections\": 4294967297}",
	  "line 1 column 20: maxConnections: must be a whole number from 1 to "
	  "65536" },
	{ "{\"maxConnections\": 18446744073709551617}",
	  "line 1 column 20: maxConnections: must be a whole number from 1 to "
	  "65536" },
	{ "{\"maxConnections\": null}",
	  "line 1 column 20: maxConnections: must be a whole number" },
	{ "{\"maxEventFileCount\": -1}",
	  "line 1 column 23: maxEventFileCount: must be a whole number from 0 "
	  "to 4294967295" },
	{ "{\"monitorIntervalInSeconds\": 18446744073709551616}",
	  "line 1 column 30: monitorIntervalInSeconds: must be a whole number "
	  "from 0 to 4294967295" },
	/* times */
	{ "{\"idleTimeoutInSeconds\": \"1\"}",
	  "line 1 column 26: idleTimeoutInSeconds: must be a number" },
	{ "{\"idleTimeoutInSeconds\": null}",
	  "line 1 column 26: idleTimeoutInSeconds: must be a number" },
	{ "{\"idleTimeoutInSeconds\": [1]}",
	  "line 1 column 26: idleTimeoutInSeconds: must be a number" },
	{ "{\"idleTimeoutInSeconds\": 3600.001}",
	  "line 1 column 26: idleTimeoutInSeconds: must be from 0.05 to 3600 "
	  "seconds, with at most three decimals and no exponent" },
	{ "{\"idleTimeoutInSeconds\": NaN}",
	  "line 1 column 26: lexical error: invalid char in json text." },
	{ "{\"idleTimeoutInSeconds\": -Infinity}",
	  "line 1 column 26: lexical error: malformed number, a digit is "
	  "required after the minus sign." },
	{ "{\"idleTimeoutInSeconds\": 1.}",
	  "line 1 column 26: lexical error: malformed number, a digit is "
	  "required after the decimal point." },
	{ "{\"idleTimeoutInSeconds\": .5}",
	  "line 1 column 26: lexical error: invalid char in json text." },
	/* paths */
	{ "{\"statusFolder\": \"\"}",
	  "line 1 column 18: statusFolder: must not be empty" },
	{ "{\"statusFolder\": \"status\"}",
	  "line 1 column 18: statusFolder: must be an absolute path" },
	{ "{\"latchKeyFolder\": null}",
	  "line 1 column 20: latchKeyFolder: must be a string" },
	{ "{\"latchKeyFolder\": \"/a\\u0000b\"}",
	  "line 1 column 20: latchKeyFolder: has a control character" },
	{ "{\"cgroupPath\": \"\"}",
	  "line 1 column 16: cgroupPath: must not be empty" },
	{ "{\"cgroupPath\": \"a\\nb\"}",
	  "line 1 column 16: cgroupPath: has a control character" },
/* addresses */
#define ADDRESS "must be an IPv4 address and a port, as in \"127.0.0.1:3080\""
	{ "{\"imdsAddress\": \"\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1:\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1:0\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1:65536\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1:080\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1:80 \"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.1:80\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"0.0.0.0:80\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"[::1]:80\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"imdsAddress\": \"10.0.0.1\\u0000:80\"}",
	  "line 1 column 17: imdsAddress: " ADDRESS },
	{ "{\"listenAddress\": \"10.0.0.1:3080\"}",
	  "line 1 column 19: listenAddress: must be a loopback address" },
	{ "{" REQUIRED ", \"hostGAPluginAddress\": \"168.63.129.16:80\"}",
	  "hostGAPluginAddress: same address as wireServerAddress" },
	{ "{" REQUIRED ", \"imdsAddress\": \"127.0.0.1:3080\"}",
	  "listenAddress: same address as imdsAddress" },
};

static bool is_zero(const struct mspd_config *c)
{
	static const struct mspd_config zero;

	return memcmp(c, &zero, sizeof(zero)) == 0;
}

START_TEST(config_refuses)
{
	ck_assert_int_eq(load(wrong[_i].text), -EINVAL);
	ck_assert(is_zero(&config));
	ck_assert_str_eq(cause(), wrong[_i].cause);
	ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

START_TEST(config_bounds_nesting)
{
	char text[4096];
	size_t len = 0;
	int depth;

	for (depth = 31; depth <= 32; depth++) {
		len = (size_t)snprintf(text, sizeof(text),
				       "{" REQUIRED ", \"x\": ");
		memset(text + len, '[', (size_t)depth);
		memset(text + len + depth, ']', (size_t)depth);
		strcpy(text + len + 2 * depth, "}");
		ck_assert_int_eq(load(text), depth == 31 ? 0 : -EINVAL);
		mspd_config_free(&config);
	}
	ck_assert_str_eq(strrchr(cause(), ':'), ": nested deeper than 32");
}
END_TEST

START_TEST(config_bounds_the_file)
{
	char *text = malloc(MSPD_CONFIG_MAX_BYTES + 1);
	size_t len;

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', MSPD_CONFIG_MAX_BYTES + 1);
	len = strlen("{" REQUIRED "}");
	memcpy(text, "{" REQUIRED "}", len);
	ck_assert_int_eq(load_bytes(text, MSPD_CONFIG_MAX_BYTES), 0);
	mspd_config_free(&config);
	ck_assert_int_eq(load_bytes(text, MSPD_CONFIG_MAX_BYTES + 1), -EINVAL);
	ck_assert_str_eq(cause(), "is longer than 65536 bytes");
	free(text);
}
END_TEST

START_TEST(config_refuses_what_is_no_file)
{
	const char *path = scratch_path("c.json");

	ck_assert_int_eq(mspd_config_load(&config, path, error, sizeof(error)),
			 -ENOENT);
	ck_assert_str_eq(cause(), "cannot be opened (No such file or "
				  "directory)");
	ck_assert_int_eq(mkfifo(path, 0600), 0); /* must not hang */
	ck_assert_int_eq(mspd_config_load(&config, path, error, sizeof(error)),
			 -EINVAL);
	ck_assert_str_eq(cause(), "is not a regular file");
}
END_TEST

START_TEST(config_error_fits_any_room)
{
	size_t size;

	for (size = 0; size < 64; size++) {
		char *small = malloc(size ? size : 1);

		ck_assert_ptr_nonnull(small);
		scratch_write("c.json", "{", 1);
		ck_assert_int_eq(mspd_config_load(&config,
						  scratch_path("c.json"), small,
						  size),
				 -EINVAL);
		if (size)
			ck_assert_uint_lt(strlen(small), size);
		free(small);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_config");
	TCase *tc = tcase_create("config");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, config_fills_in_defaults);
	tcase_add_test(tc, config_takes_every_key);
	tcase_add_test(tc, config_takes_the_file_of_azures_agent);
	tcase_add_test(tc, config_skips_byte_order_mark);
	tcase_add_loop_test(tc, config_that_is_shipped_loads_without_warning, 0,
			    COUNT(shipped));
	tcase_add_loop_test(tc, config_says_nothing_of_keys_that_do_nothing, 0,
			    COUNT(unneeded));
	tcase_add_loop_test(tc, config_takes_times_exactly, 0, COUNT(times));
	tcase_add_loop_test(tc, config_warns, 0, COUNT(warned));
	tcase_add_test(tc, config_bounds_its_warnings);
	tcase_add_loop_test(tc, config_expands_variables, 0, COUNT(folders));
	tcase_add_test(tc, config_bounds_what_variables_become);
	tcase_add_loop_test(tc, config_refuses, 0, COUNT(wrong));
	tcase_add_test(tc, config_bounds_nesting);
	tcase_add_test(tc, config_bounds_the_file);
	tcase_add_test(tc, config_refuses_what_is_no_file);
	tcase_add_test(tc, config_error_fits_any_room);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
