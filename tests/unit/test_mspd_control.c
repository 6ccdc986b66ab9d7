/* SPDX-License-Identifier: MIT */
/*
 * In: clients of the two sockets, memory and descriptors that run out, callers
 * with long names. Out: whether each is answered, whoever else asks, and no
 * descriptor or byte is left behind.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "mspd/control.h"
#include "mspd/grants.h"
#include "mspd/json_text.h"
#include "mspd/log.h"
#include "mspd/metrics.h"
#include "mspd/unix_socket.h"
#include "tests/lib/scratch.h"

#define GET "GET /metrics HTTP/1.1\r\n\r\n"
/* How long anything may take on a machine that has other things to do. */
#define PATIENCE_MS 30000

/* ---- memory that runs out ----------------------------------------------- */

static long allocations = -1; /* until one fails; -1: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
	return allocations >= 0 && allocations-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t size)
{
	return fails() ? NULL : __real_realloc(at, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

/* ---- an agent without endpoints ------------------------------------------ */

static struct mspd_config config;
static struct mspd_policy_slot policies;
static struct mspd_identities identities;
static struct mspd_meter meter;
static struct mspd_refused refused;
static struct mspd_sight sight;
static struct mspd_control *control;
static struct msp_request *request;
static char run_dir[256];

static void describe(void *arg, char *out, size_t size)
{
	(void)arg;
	snprintf(out, size, "fine");
}

static void setup(void)
{
	const struct mspd_audit_opts audit = {
		.dir = scratch_make(),
		.records = 10,
		.per_second = 1,
	};

	memset(&refused, 0, sizeof(refused));
	memset(&meter, 0, sizeof(meter));
	memset(&sight, 0, sizeof(sight));
	snprintf(run_dir, sizeof(run_dir), "%s", scratch_path("run"));
	config = (struct mspd_config){ .run_dir = run_dir, .key_dir = run_dir };
	mspd_policy_slot_init(&policies);
	sight.config = &config;
	sight.policies = &policies;
	sight.identities = &identities;
	sight.meter = &meter;
	sight.refused = &refused;
	sight.describe = describe;
	ck_assert_int_eq(mspd_loop_new(&sight.loop), 0);
	ck_assert_int_eq(mspd_status_new(&sight.status), 0);
	ck_assert_int_eq(mspd_audit_open(&sight.audit, &audit), 0);
	ck_assert_int_eq(msp_request_new(&request), 0);
	mspd_sight_begin(&sight);
}

static void teardown(void)
{
	allocations = -1;
	mspd_control_close(control);
	control = NULL;
	mspd_refused_close(&refused);
	msp_request_free(request);
	mspd_audit_close(sight.audit);
	mspd_status_free(sight.status);
	mspd_loop_free(sight.loop);
	mspd_policy_slot_close(&policies);
	scratch_remove();
}

static void open_doors(void)
{
	ck_assert_int_eq(mspd_control_open(&control, &config), 0);
	mspd_control_start(control, &sight);
}

static void stop(void *arg)
{
	mspd_loop_stop(arg);
}

static void turn(unsigned int ms)
{
	struct mspd_timer timer = { .call = stop, .arg = sight.loop };

	mspd_loop_timer(sight.loop, &timer,
			mspd_loop_now(sight.loop).boot_ms + ms);
	ck_assert_int_eq(mspd_loop_run(sight.loop), 0);
	mspd_loop_timer(sight.loop, &timer, MSP_NEVER);
}

static int come(const char *name, const char *say)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/%s", run_dir, name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (*say)
		ck_assert_int_eq(send(fd, say, strlen(say), 0),
				 (ssize_t)strlen(say));
	return fd;
}

/* All of the answer, or what the agent has closed without. */
static size_t hear(int fd, char *out, size_t size)
{
	unsigned int ms;
	size_t len = 0;
	ssize_t n = -1;

	for (ms = 0; ms < PATIENCE_MS && n; ms += 20) {
		turn(20);
		while ((n = recv(fd, out + len, size - 1 - len, 0)) > 0)
			len += (size_t)n;
		if (n < 0 && errno == ECONNRESET)
			break;
		ck_assert(n == 0 || errno == EAGAIN);
	}
	ck_assert_msg(ms < PATIENCE_MS, "no answer");
	out[len] = '\0';
	close(fd);
	return len;
}

static unsigned int descriptors(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- doors -------------------------------------------------------------- */

START_TEST(control_answers_over_and_over)
{
	static char text[MSPD_CONTROL_ANSWER * 2];
	unsigned int before, i;

	open_doors();
	before = descriptors();
	for (i = 0; i < 20; i++) {
		hear(come("metrics.sock", GET), text, sizeof(text));
		ck_assert_ptr_nonnull(strstr(text, "mspd_info{"));
		hear(come("control.sock", "status\n"), text, sizeof(text));
		if (geteuid()) /* it is root's */
			ck_assert_str_eq(text, "");
		else
			ck_assert_ptr_nonnull(strstr(text, "\"pid\":"));
	}
	ck_assert_uint_eq(descriptors(), before);
}
END_TEST

/* Without this nobody would ever be let in again: there is nobody whose leaving
 * would open the door. */
START_TEST(control_opens_again_when_there_are_descriptors)
{
	static char text[MSPD_CONTROL_ANSWER * 2];
	struct rlimit all, none;
	int fd, high;

	open_doors();
	fd = come("metrics.sock", GET);
	high = dup(fd);
	close(high);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = (rlim_t)high;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn(100);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	ck_assert_int_lt(recv(fd, text, 1, 0), 0);
	ck_assert_int_eq(errno, EAGAIN);
	hear(fd, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "mspd_info{"));
}
END_TEST

/* As on a disk that is full, or read-only, for a while. */
START_TEST(control_is_made_once_its_place_can_be_had)
{
	static char text[MSPD_CONTROL_ANSWER * 2];
	struct rlimit all, none;
	unsigned int ms;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(mspd_control_open(&control, &config), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	mspd_control_start(control, &sight);
	for (ms = 0; ms < PATIENCE_MS &&
		     access(scratch_path("run/metrics.sock"), F_OK) < 0;
	     ms += 20)
		turn(20);
	turn(20);
	hear(come("metrics.sock", GET), text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "mspd_info{"));
	hear(come("control.sock", "status\n"), text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\"healthy\""));
}
END_TEST

/* Those of one socket do not take the places of the other's. */
START_TEST(control_has_places_of_its_own)
{
	static char text[MSPD_CONTROL_ANSWER * 2];
	int silent[3 * MSPD_CONTROL_CLIENTS];
	size_t i, n = sizeof(silent) / sizeof(silent[0]);

	open_doors();
	for (i = 0; i < n; i++)
		silent[i] = come("metrics.sock", "");
	turn(20);
	hear(come("control.sock", "status\n"), text, sizeof(text));
	/* the first of them have not been given up yet */
	ck_assert_int_lt(recv(silent[0], text, 1, 0), 0);
	ck_assert_int_eq(errno, EAGAIN);
	for (i = 0; i < n; i++)
		close(silent[i]);
	hear(come("metrics.sock", GET), text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "mspd_info{"));
}
END_TEST

START_TEST(control_survives_want_of_memory)
{
	static char text[MSPD_CONTROL_ANSWER * 2];
	unsigned int before = descriptors();
	long n;
	bool fine = false;

	for (n = 0; !fine; n++) {
		int fd;

		allocations = n;
		if (mspd_control_open(&control, &config) < 0) {
			allocations = -1;
			continue;
		}
		mspd_control_start(control, &sight);
		fine = allocations >= 0;
		allocations = -1;
		if (access(scratch_path("run/metrics.sock"), F_OK) == 0) {
			fd = come("metrics.sock", GET);
			allocations = n;
			turn(50);
			allocations = -1;
			close(fd);
			hear(come("metrics.sock", GET), text, sizeof(text));
			ck_assert_ptr_nonnull(strstr(text, "mspd_info{"));
		}
		mspd_control_close(control);
		control = NULL;
		ck_assert_uint_eq(descriptors(), before);
		ck_assert_int_eq(scratch_count("run/"), 0);
	}
	ck_assert_int_gt(n, 3);
}
END_TEST

/* ---- one socket --------------------------------------------------------- */

static int place(struct mspd_unix *out, const char *name, const char *group)
{
	const struct mspd_unix_opts opts = {
		.dir = run_dir,
		.name = name,
		.mode = 0660,
		.group = group,
	};
	char error[256] = "";
	int err = mspd_unix_open(out, &opts, error, sizeof(error));

	ck_assert(err == 0 || *error);
	return err;
}

START_TEST(socket_is_not_taken_from_one_that_listens)
{
	struct mspd_unix first, second;
	struct stat before, after;

	ck_assert_int_eq(place(&first, "s", NULL), 0);
	ck_assert_int_eq(stat(scratch_path("run/s"), &before), 0);
	ck_assert_uint_eq(before.st_mode & 07777, 0660);
	ck_assert_int_eq(place(&second, "s", NULL), -EADDRINUSE);
	ck_assert_int_eq(stat(scratch_path("run/s"), &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	/* one that died has left its file */
	close(first.fd);
	first.fd = -1;
	mspd_unix_close(&first);
	ck_assert_int_eq(access(scratch_path("run/s"), F_OK), 0);
	ck_assert_int_eq(place(&second, "s", NULL), 0);
	mspd_unix_close(&second);
	ck_assert_int_ne(access(scratch_path("run/s"), F_OK), 0);
}
END_TEST

START_TEST(socket_is_removed_where_it_was_made)
{
	struct mspd_unix at;
	char moved[300];

	ck_assert_int_eq(place(&at, "s", NULL), 0);
	snprintf(moved, sizeof(moved), "%s.moved", run_dir);
	ck_assert_int_eq(rename(run_dir, moved), 0);
	ck_assert_int_eq(mkdir(run_dir, 0755), 0);
	scratch_write("run/s", "x", 1);
	mspd_unix_close(&at);
	ck_assert_int_eq(access(scratch_path("run/s"), F_OK), 0);
	ck_assert_int_ne(access(scratch_path("run.moved/s"), F_OK), 0);
}
END_TEST

START_TEST(socket_of_no_group_is_none)
{
	struct mspd_unix at;

	ck_assert_int_eq(place(&at, "s", "no such group"), -ENOENT);
	ck_assert_int_ne(access(scratch_path("run/s"), F_OK), 0);
}
END_TEST

/* ---- what is told ------------------------------------------------------- */

static void refuse(unsigned int uid, const char *exe, const char *target)
{
	static struct msp_caller caller;
	const struct mspd_refusal r = {
		.caller = &caller,
		.endpoint = MSP_ENDPOINT_IMDS,
		.method = "GET",
		.target = target,
		.target_len = strlen(target),
		.request = request,
		.reason = MSP_REASON_DEFAULT_DENY,
		.wall_s = 1700000000,
	};

	memset(&caller, 0, sizeof(caller));
	caller.size = sizeof(caller);
	caller.flags = MSP_CALLER_KNOWN | MSP_CALLER_EXE_VERIFIED;
	caller.uid = uid;
	snprintf(caller.exe_path, sizeof(caller.exe_path), "%s", exe);
	ck_assert_int_eq(
		msp_request_set(request, "GET", 3, target, strlen(target)), 0);
	mspd_refused_note(&refused, &r);
}

static void publish(uint64_t epoch, const char *path)
{
	struct mspd_policy *policy = mspd_policy_new();
	struct msp_profile *profile;
	char text[512];

	snprintf(
		text, sizeof(text),
		"{\"id\":\"i\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
		"\"rules\":{\"privileges\":[{\"name\":\"p%llu\",\"path\":"
		"\"%s\"}],\"roles\":[{\"name\":\"r\",\"privileges\":[\"p%llu\"]"
		"}],\"identities\":[{\"name\":\"n\",\"userName\":\"x\"}],"
		"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"n\"]}]"
		"}}",
		(unsigned long long)epoch, path, (unsigned long long)epoch);
	ck_assert_int_eq(msp_profile_parse(&profile, text, strlen(text), NULL),
			 0);
	ck_assert_ptr_nonnull(policy);
	ck_assert_int_eq(msp_rules_compile(&policy->rules[MSP_ENDPOINT_IMDS],
					   profile, epoch),
			 0);
	msp_profile_free(profile);
	mspd_policy_publish(&policies, policy);
}

static yajl_val told(size_t *len)
{
	char error[128];
	yajl_val tree;
	char *text;

	ck_assert_int_eq(mspd_sight_json(&sight, &text, len), 0);
	ck_assert_int_eq(text[*len - 1], '\n');
	text[*len - 1] = '\0';
	tree = yajl_tree_parse(text, error, sizeof(error));
	ck_assert_msg(tree != NULL, "%s", error);
	free(text);
	return tree;
}

static yajl_val refused_of(yajl_val tree)
{
	const char *path[] = { "refused", NULL };
	yajl_val list = yajl_tree_get(tree, path, yajl_t_array);

	ck_assert_ptr_nonnull(list);
	return list;
}

/* Six bytes in JSON for each of theirs. */
START_TEST(status_has_room_for_whatever_callers_are_called)
{
	char exe[MSP_CALLER_PATH_MAX], target[MSPD_REFUSED_TARGET];
	yajl_val tree;
	size_t len, i;

	memset(exe, 1, sizeof(exe) - 1);
	exe[sizeof(exe) - 1] = '\0';
	publish(1, "/a");
	memset(target, '~', sizeof(target) - 1);
	target[0] = '/';
	target[sizeof(target) - 1] = '\0';
	for (i = 0; i < 2 * MSPD_GRANTS_CALLERS; i++) {
		target[1] = (char)('a' + i);
		refuse(1000, exe, target);
		mspd_refused_keep(refused.entries[i], 1, exe);
	}
	tree = told(&len);
	ck_assert_uint_le(len, MSPD_CONTROL_ANSWER);
	ck_assert_uint_ge(YAJL_GET_ARRAY(refused_of(tree))->len, 5);
	yajl_tree_free(tree);
}
END_TEST

START_TEST(status_survives_want_of_memory)
{
	char *text;
	size_t len;
	long n = 0;
	int rc;

	refuse(1000, "/usr/bin/\x01", "/a");
	do {
		allocations = n;
		rc = mspd_sight_json(&sight, &text, &len);
		if (rc == 0)
			free(text);
		/* a name that has no room is "" */
		rc = allocations < 0 ? -1 : rc;
		allocations = -1;
		ck_assert_int_lt(n, 1000);
		n++;
	} while (rc < 0);
	ck_assert_int_gt(n, 2);
}
END_TEST

/* The document on disk, and what /gpa-aggregated-status answers. */
START_TEST(aggregated_status_survives_want_of_memory)
{
	struct mspd_summary *summary;
	char *text, *whole;
	size_t len, whole_len;
	long n = 0, left;
	int rc;

	ck_assert_int_eq(mspd_summary_new(&summary, 10), 0);
	ck_assert_int_eq(mspd_status_json(sight.status, summary, true, &whole,
					  &whole_len),
			 0);
	ck_assert_uint_eq(strlen(whole), whole_len);
	do {
		allocations = n++;
		rc = mspd_status_json(sight.status, summary, true, &text, &len);
		left = allocations;
		allocations = -1;
		ck_assert(rc == 0 || (rc == -ENOMEM && !text));
		ck_assert(rc < 0 || text[len] == '\0');
		free(text);
	} while (left < 0);
	ck_assert_int_gt(n, 1);
	free(whole);
	mspd_summary_free(summary);
}
END_TEST

/* Clocks that turn at different times, and one that is set. */
START_TEST(status_tells_one_time_of_start)
{
	int64_t started = mspd_sight_started(&sight);

	sight.ahead_s++;
	ck_assert_int_eq(mspd_sight_started(&sight), started);
	sight.ahead_s -= 2;
	ck_assert_int_eq(mspd_sight_started(&sight), started);
	sight.ahead_s -= 3600;
	ck_assert_int_ge(mspd_sight_started(&sight), started + 3600);
}
END_TEST

/* ---- what would allow them ----------------------------------------------- */

static unsigned int rounds;

static void on_known(void *arg)
{
	(void)arg;
	rounds++;
}

static struct mspd_grants *new_grants(void)
{
	const struct mspd_grants_opts opts = { .loop = sight.loop,
					       .refused = &refused,
					       .policies = &policies,
					       .known = on_known };
	struct mspd_grants *grants;

	rounds = 0;
	ck_assert_int_eq(mspd_grants_new(&grants, &opts), 0);
	return grants;
}

static void ask(struct mspd_grants *grants)
{
	unsigned int ms, before = rounds;

	ck_assert(!mspd_grants_ask(grants));
	for (ms = 0; ms < PATIENCE_MS && rounds == before; ms += 10)
		turn(10);
	ck_assert_uint_eq(rounds, before + 1);
	ck_assert(mspd_grants_ask(grants));
}

static const char *allow(size_t i)
{
	struct mspd_policy *policy = NULL;
	const char *text;

	mspd_policy_refresh(&policies, &policy);
	text = mspd_refused_kept(refused.entries[i],
				 policy->rules[MSP_ENDPOINT_IMDS]);
	mspd_policy_free(policy);
	return text ? text : "";
}

START_TEST(grants_are_found_out_once_for_each_rules)
{
	struct mspd_grants *grants = new_grants();

	refuse(1000, "/bin/a", "/a");
	ck_assert(mspd_grants_ask(grants)); /* there are no rules */
	publish(1, "/a");
	ask(grants);
	ck_assert_ptr_nonnull(strstr(allow(0), "privilege 'p1'"));
	refuse(1000, "/bin/a", "/a");
	ck_assert(mspd_grants_ask(grants));
	refuse(1000, "/bin/a", "/b");
	ask(grants);
	ck_assert_ptr_nonnull(strstr(allow(1), "add a privilege"));
	publish(2, "/b");
	ck_assert_str_eq(allow(0), "");
	ask(grants);
	ck_assert_ptr_nonnull(strstr(allow(0), "add a privilege"));
	ck_assert_ptr_nonnull(strstr(allow(1), "privilege 'p2'"));
	mspd_grants_free(grants);
}
END_TEST

START_TEST(grants_do_not_tell_one_what_another_lacks)
{
	struct mspd_grants *grants = new_grants();
	char target[32];
	size_t i;

	publish(1, "/a");
	refuse(1000, "/bin/a", "/a");
	ck_assert(!mspd_grants_ask(grants));
	/* its place is taken meanwhile */
	for (i = 0; i < MSPD_REFUSED_MAX; i++) {
		snprintf(target, sizeof(target), "/x%zu", i);
		refuse((unsigned int)i, "/bin/b", target);
	}
	while (!rounds)
		turn(10);
	for (i = 0; i < refused.n; i++)
		ck_assert_str_eq(allow(i), "");
	mspd_grants_free(grants);
}
END_TEST

START_TEST(grants_may_be_given_up_at_any_time)
{
	struct mspd_grants *grants;
	int i;

	publish(1, "/a");
	refuse(1000, "/bin/a", "/a");
	for (i = 0; i < 20; i++) {
		grants = new_grants();
		ck_assert(!mspd_grants_ask(grants));
		if (i % 2)
			turn(1);
		mspd_grants_free(grants);
		ck_assert_uint_le(rounds, i % 2);
		free(refused.entries[0]->allow);
		refused.entries[0]->allow = NULL;
	}
}
END_TEST

START_TEST(grants_survive_want_of_memory)
{
	const struct mspd_grants_opts opts = { .loop = sight.loop,
					       .refused = &refused,
					       .policies = &policies,
					       .known = on_known };
	unsigned int before = descriptors();
	struct mspd_grants *grants;
	long n;
	int err = -1;

	publish(1, "/a");
	refuse(1000, "/bin/a", "/a");
	for (n = 0; err < 0; n++) {
		allocations = n;
		err = mspd_grants_new(&grants, &opts);
		allocations = -1;
		ck_assert(err == 0 || err == -ENOMEM);
	}
	for (n = 0; n < 2; n++) { /* of the job, and of its place */
		bool over;

		allocations = n;
		over = mspd_grants_ask(grants);
		allocations = -1;
		ck_assert(over);
	}
	rounds = 0;
	ask(grants);
	mspd_grants_free(grants);
	ck_assert_uint_eq(descriptors(), before);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, control_answers_over_and_over);
	tcase_add_test(t, control_opens_again_when_there_are_descriptors);
	tcase_add_test(t, control_is_made_once_its_place_can_be_had);
	tcase_add_test(t, control_has_places_of_its_own);
	tcase_add_test(t, control_survives_want_of_memory);
	tcase_add_test(t, socket_is_not_taken_from_one_that_listens);
	tcase_add_test(t, socket_is_removed_where_it_was_made);
	tcase_add_test(t, socket_of_no_group_is_none);
	tcase_add_test(t, status_has_room_for_whatever_callers_are_called);
	tcase_add_test(t, status_survives_want_of_memory);
	tcase_add_test(t, aggregated_status_survives_want_of_memory);
	tcase_add_test(t, status_tells_one_time_of_start);
	tcase_add_test(t, grants_are_found_out_once_for_each_rules);
	tcase_add_test(t, grants_do_not_tell_one_what_another_lacks);
	tcase_add_test(t, grants_may_be_given_up_at_any_time);
	tcase_add_test(t, grants_survive_want_of_memory);
}

int main(void)
{
	Suite *s = suite_create("mspd_control");
	TCase *t = tcase_create("control");
	SRunner *r;
	int failed;

	mspd_log_open("", MSPD_NO_LEVEL, MSPD_NO_LEVEL);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	add_tests(t);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
