/* SPDX-License-Identifier: MIT */
/*
 * In: connections of a caller whose names come, come late, or never. Out:
 * whether each request waits for what its rules need, and for no more.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "mspd/fair.h"
#include "mspd/identity.h"
#include "mspd/log.h"
#include "tests/lib/scratch.h"

#define UID	 4000
#define EVERYONE (MSP_NEED_USER | MSP_NEED_GROUPS)
/* Threads that look at executables here. */
#define BUSY 2
/* Connections that have a look on its way, and one more. */
#define MANY MSPD_WORKERS_TAG_QUEUE
#define ALL  (MANY + 1)

static struct mspd_loop *loop;
static struct mspd_identities shared;
static struct mspd_identity id, other;
static int finished;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool users_hang, groups_hang, files_hang;
static bool users_fail; /* the question about a user alone */
static int asked;

static char **one_name(const char *name)
{
	char **list = calloc(2, sizeof(*list));

	list[0] = strdup(name);
	return list;
}

static struct mspd_names *resolve(const struct mspd_names_key *key)
{
	struct mspd_names *names = calloc(1, sizeof(*names));
	struct timespec now;

	pthread_mutex_lock(&lock);
	asked++;
	while (users_hang || (groups_hang && !key->user_only))
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	clock_gettime(CLOCK_BOOTTIME, &now);
	names->started_ms =
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	atomic_init(&names->owners, 1);
	names->key = *key;
	if (key->user_only && users_fail)
		return names;
	names->complete = true;
	names->user_name = strdup("ann");
	if (key->user_only)
		return names;
	names->groups = one_name("staff");
	names->n_groups = 1;
	names->process_groups = one_name("wheel");
	names->n_process_groups = 1;
	return names;
}

static void hang(bool users, bool groups)
{
	pthread_mutex_lock(&lock);
	users_hang = users;
	groups_hang = groups;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static int look_up_cgroup(void *arg, uint64_t number, char *text, size_t room)
{
	(void)arg;
	snprintf(text, room, "/%llu", (unsigned long long)number);
	return 0;
}

/* A connection as if the kernel had said this of it. */
static void open_identity(struct mspd_identity *out)
{
	mspd_identity_open(out, &shared, -1);
	ck_assert(!out->known);
	out->known = true;
	out->caller.uid = UID;
	out->caller.flags = MSP_CALLER_KNOWN;
	out->cgroup = mspd_cgroups_get(shared.cgroups, UID);
	ck_assert_ptr_nonnull(out->cgroup);
}

static void on_looked(void *arg, uint32_t events)
{
	(void)events;
	mspd_workers_reap(arg);
}

/* One thread, so that little keeps it busy. */
static void open_commands(int i)
{
	struct mspd_workers_opts opts = { .threads = 1 };
	struct mspd_watch *watch = &shared.read[i];

	ck_assert_int_eq(mspd_workers_new(&shared.commands[i], &opts), 0);
	watch->fd = mspd_workers_fd(shared.commands[i]);
	watch->call = on_looked;
	watch->arg = shared.commands[i];
	ck_assert_int_eq(mspd_loop_watch(loop, watch, EPOLLIN), 0);
}

static void setup(void)
{
	struct mspd_resolver_opts names = { .resolve = resolve };
	struct mspd_workers_opts files = { .threads = BUSY, .per_tag = BUSY };

	/* who is late is logged; not into the output of the tests */
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_ERROR), 0);
	scratch_make();
	scratch_write("passwd", "", 0);
	scratch_write("group", "", 0);
	ck_assert_int_eq(mspd_loop_new(&loop), 0);
	names.loop = loop;
	names.passwd_path = scratch_path("passwd");
	names.group_path = scratch_path("group");
	shared.loop = loop;
	shared.root_fd = -1;
	shared.timeout_ms = 1000;
	ck_assert_int_eq(mspd_resolver_new(&shared.resolver, &names), 0);
	ck_assert_int_eq(
		mspd_cgroups_new(&shared.cgroups, look_up_cgroup, NULL), 0);
	ck_assert_int_eq(mspd_workers_new(&shared.files, &files), 0);
	shared.finished.fd = mspd_workers_fd(shared.files);
	shared.finished.call = on_looked;
	shared.finished.arg = shared.files;
	ck_assert_int_eq(mspd_loop_watch(loop, &shared.finished, EPOLLIN), 0);
	ck_assert_int_eq(mspd_commands_new(&shared.known), 0);
	ck_assert_int_eq(mspd_programs_new(&shared.programs), 0);
	open_commands(0);
	open_commands(1);
	open_identity(&id);
	open_identity(&other);
}

static void teardown(void)
{
	hang(false, false);
	mspd_identity_close(&id);
	mspd_identity_close(&other);
	mspd_identities_close(&shared, 5000);
	mspd_loop_free(loop);
	mspd_log_close();
	scratch_remove();
}

static void on_done(void *arg)
{
	ck_assert_ptr_eq(arg, &finished);
	finished++;
	mspd_loop_stop(loop);
}

static bool complete(struct mspd_identity *who, unsigned int needs)
{
	return mspd_identity_complete(who, needs, 1, on_done, &finished);
}

/* What never ends takes too long for the test, and is ended. */
static void wait_for_it(void)
{
	int before = finished;

	ck_assert_int_eq(mspd_loop_run(loop), 0);
	ck_assert_int_eq(finished, before + 1);
}

static void stop(void *arg)
{
	(void)arg;
	mspd_loop_stop(loop);
}

static void turn_for(unsigned int ms)
{
	struct mspd_timer timer = { .call = stop };

	mspd_loop_timer(loop, &timer, mspd_loop_now(loop).boot_ms + ms);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
}

static void check_all_names(const struct mspd_identity *who)
{
	ck_assert(who->caller.flags & MSP_CALLER_NAMES);
	ck_assert_str_eq(who->caller.user_name, "ann");
	ck_assert_uint_eq(who->caller.n_groups, 1);
	ck_assert_str_eq(who->caller.groups[0], "staff");
	ck_assert_uint_eq(who->caller.n_process_groups, 1);
	ck_assert_str_eq(who->caller.process_groups[0], "wheel");
}

static void check_no_names(const struct mspd_identity *who)
{
	ck_assert(!(who->caller.flags & MSP_CALLER_NAMES));
	ck_assert_ptr_null(who->caller.user_name);
	ck_assert_uint_eq(who->caller.n_groups, 0);
	ck_assert_uint_eq(who->caller.n_process_groups, 0);
	ck_assert_ptr_null(mspd_identity_user(who));
}

START_TEST(identity_waits_for_names_once)
{
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	check_all_names(&id);
	ck_assert(complete(&id, EVERYONE));
	ck_assert(complete(&other, EVERYONE)); /* from the cache */
	check_all_names(&other);
	ck_assert_int_le(asked, 2);
}
END_TEST

START_TEST(identity_without_an_answer_in_time_has_no_names)
{
	hang(true, true);
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	check_no_names(&id);
	/* it has hung long enough: nobody waits for it any more */
	ck_assert(complete(&id, EVERYONE));
	ck_assert(complete(&other, EVERYONE));
	check_no_names(&other);
	hang(false, false);
	turn_for(100);
	ck_assert(complete(&id, EVERYONE));
	check_all_names(&id);
}
END_TEST

START_TEST(identity_has_the_user_while_groups_hang)
{
	hang(false, true);
	ck_assert(!complete(&id, MSP_NEED_USER));
	wait_for_it();
	ck_assert_str_eq(id.caller.user_name, "ann");
	ck_assert_uint_eq(id.caller.n_groups, 0);
	ck_assert(complete(&id, MSP_NEED_USER));
	ck_assert_str_eq(id.caller.user_name, "ann");
	ck_assert(!complete(&other, EVERYONE)); /* groups: to the deadline */
	wait_for_it();
	ck_assert_str_eq(other.caller.user_name, "ann");
	ck_assert_uint_eq(other.caller.n_groups, 0);
	/* what is known of the user does not pass for all there is */
	hang(false, false);
	turn_for(100);
	ck_assert(complete(&id, EVERYONE));
	check_all_names(&id);
}
END_TEST

/* That nothing could be learnt of the user is no reason not to wait for what
 * else has been asked. */
START_TEST(identity_waits_for_the_other_answer_when_one_failed)
{
	shared.timeout_ms = 3600000;
	users_fail = true;
	hang(false, true);
	ck_assert(!complete(&id, MSP_NEED_USER));
	turn_for(2 * MSPD_IDENTITY_GRACE_MS);
	ck_assert_int_eq(finished, 0);
	hang(false, false);
	wait_for_it();
	check_all_names(&id);
}
END_TEST

/* The record would like to have them; it does not get to wait an hour. */
START_TEST(identity_waits_little_for_names_it_does_not_need)
{
	shared.timeout_ms = 3600000;
	hang(true, true);
	ck_assert(!complete(&id, MSP_NEED_EXE));
	wait_for_it();
	check_no_names(&id);
	ck_assert(complete(&id, 0));
	ck_assert(complete(&other, 0));
	ck_assert(!complete(&other, MSP_NEED_USER)); /* who needs them waits */
	hang(false, false);
	wait_for_it();
	ck_assert_str_eq(other.caller.user_name, "ann");
}
END_TEST

/* What was kept on the connection is not believed after a change, also if
 * the answer hangs. */
START_TEST(identity_drops_names_of_another_generation)
{
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	hang(true, true);
	ck_assert(complete(&id, EVERYONE));
	check_all_names(&id);
	turn_for(20);
	scratch_write("passwd", "x", 1);
	turn_for(1100);
	ck_assert(!complete(&id, EVERYONE));
	check_no_names(&id);
	wait_for_it();
	check_no_names(&id);
}
END_TEST

START_TEST(identity_keeps_the_kernels_word_on_cut_groups)
{
	id.groups_cut = true;
	id.caller.flags |= MSP_CALLER_GROUPS_CUT;
	ck_assert(!complete(&id, EVERYONE));
	ck_assert(id.caller.flags & MSP_CALLER_GROUPS_CUT);
	wait_for_it();
	ck_assert(id.caller.flags & MSP_CALLER_GROUPS_CUT);
	check_all_names(&id);
}
END_TEST

START_TEST(identity_that_closes_is_not_called)
{
	hang(true, true);
	ck_assert(!complete(&id, EVERYONE));
	ck_assert(!complete(&other, EVERYONE));
	mspd_identity_close(&id);
	memset(&id, 0xa5, sizeof(id));
	hang(false, false);
	wait_for_it();
	check_all_names(&other);
	turn_for(20);
	ck_assert_int_eq(finished, 1);
	open_identity(&id);
}
END_TEST

/* There is no redirector here: an executable that has to be looked at again
 * is not verified. */
START_TEST(identity_looks_at_the_executable_once_for_the_same_rules)
{
	const uint32_t seen = MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED;

	ck_assert(!complete(&id, MSP_NEED_USER));
	wait_for_it();
	shared.root_fd = 0;
	id.exe_checked = true;
	id.exe_epoch = 1;
	id.caller.flags |= seen;
	ck_assert(mspd_identity_complete(&id, MSP_NEED_EXE, 1, on_done,
					 &finished));
	ck_assert_uint_eq(id.caller.flags & seen, seen);
	ck_assert(!mspd_identity_complete(&id, MSP_NEED_EXE, 2, on_done,
					  &finished));
	ck_assert_uint_eq(id.caller.flags & seen, 0);
	wait_for_it();
	ck_assert_uint_eq(id.caller.flags & seen, 0);
	id.caller.flags |= seen; /* one that is taken for another connection */
	mspd_programs_put(shared.programs, &id.caller, 0, 2,
			  mspd_loop_now(loop));
	ck_assert(mspd_identity_complete(&other, MSP_NEED_EXE, 2, NULL, NULL));
	ck_assert_uint_eq(other.caller.flags & seen, seen);
}
END_TEST

START_TEST(identity_looks_at_no_executable_that_no_rule_names)
{
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	shared.root_fd = 0;
	ck_assert(complete(&id, EVERYONE));
	ck_assert_ptr_null(id.job);
}
END_TEST

static void hang_on_file(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	while (files_hang)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void ignore(void *arg)
{
	(void)arg;
}

/* All threads that look at executables are busy until let_files_go(). */
static void keep_files_busy(void)
{
	static int jobs[BUSY];
	struct mspd_work work = { .work = hang_on_file, .done = ignore };
	size_t i;

	files_hang = true;
	for (i = 0; i < BUSY; i++) {
		work.arg = &jobs[i];
		ck_assert_int_eq(mspd_workers_submit(shared.files, &work), 0);
	}
	turn_for(50);
	shared.root_fd = 0;
	shared.timeout_ms = 3600000;
}

static void let_files_go(void)
{
	pthread_mutex_lock(&lock);
	files_hang = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* Waits for a look at its executable; false: there is no room for one. */
static bool looks(struct mspd_identity *who)
{
	return !mspd_identity_complete(who, MSP_NEED_EXE, 1, on_done,
				       &finished) &&
	       who->job;
}

START_TEST(identity_that_closes_is_not_called_for_its_executable)
{
	keep_files_busy();
	let_files_go();
	ck_assert(looks(&id));
	/* done, or under way: the loop has not turned since */
	usleep(50000);
	mspd_identity_close(&id);
	memset(&id, 0xa5, sizeof(id));
	turn_for(50);
	ck_assert_int_eq(finished, 0);
	open_identity(&id);
}
END_TEST

START_TEST(identity_that_closes_takes_its_look_back)
{
	int i;

	keep_files_busy();
	for (i = 0; i <= MSPD_WORKERS_QUEUE; i++) {
		ck_assert(looks(&id));
		mspd_identity_close(&id);
		open_identity(&id);
	}
	let_files_go();
}
END_TEST

/* Fill what one may have on its way; the last connection is not asked yet. */
static void fill(struct mspd_identity *all,
		 void (*tell)(int i, struct msp_caller *c))
{
	int i;

	keep_files_busy();
	for (i = 0; i < ALL; i++) {
		open_identity(&all[i]);
		tell(i, &all[i].caller);
		ck_assert(i == MANY || looks(&all[i]));
	}
}

static void close_all(struct mspd_identity *all)
{
	int i;

	for (i = 0; i < ALL; i++)
		mspd_identity_close(&all[i]);
	let_files_go();
}

#define INITIAL_NS 0xEFFFFFFDu

static void one_user(int i, struct msp_caller *c)
{
	c->exe.device = (uint32_t)i;
	c->user_ns = INITIAL_NS;
}

static void one_users_namespaces(int i, struct msp_caller *c)
{
	c->exe.device = (uint32_t)i;
	c->uid = 100000u + (uint32_t)i;
	c->user_ns = (uint32_t)i + 1;
	c->ns_owner = UID;
}

static void roots_namespace(int i, struct msp_caller *c)
{
	c->exe.device = (uint32_t)i;
	c->uid = 100000u + (uint32_t)i;
	c->user_ns = 7;
}

static void one_device(int i, struct msp_caller *c)
{
	c->exe.device = 5;
	c->uid = (uint32_t)i;
	c->user_ns = INITIAL_NS;
}

static void (*const tells[])(int i, struct msp_caller *c) = {
	one_user, one_users_namespaces, roots_namespace, one_device
};

/* Whose the looks are that hang, or where, nobody else is turned away. */
START_TEST(identity_bounds_what_one_has_looked_at)
{
	static struct mspd_identity all[ALL];

	fill(all, tells[_i]);
	ck_assert(!looks(&all[MANY]));
	other.caller.uid = UID - 1;
	other.caller.user_ns = INITIAL_NS;
	other.caller.exe.device = 9999;
	ck_assert(looks(&other));
	close_all(all);
}
END_TEST

static int asked_now(void)
{
	int n;

	pthread_mutex_lock(&lock);
	n = asked;
	pthread_mutex_unlock(&lock);
	return n;
}

/* However many uids one has, few questions hang because of it. */
START_TEST(identity_asks_little_at_a_time_for_one_owner)
{
	static struct mspd_identity all[2 * MSPD_RESOLVER_THREADS];
	const int n = 2 * MSPD_RESOLVER_THREADS;
	int i;

	hang(true, true);
	for (i = 0; i < n; i++) {
		open_identity(&all[i]);
		one_users_namespaces(i, &all[i].caller);
		ck_assert(!complete(&all[i], EVERYONE));
	}
	turn_for(100);
	/* of the user, and of all names */
	ck_assert_int_le(asked_now(), 2 * MSPD_RESOLVER_PER_UID);
	for (i = 0; i < n; i++)
		mspd_identity_close(&all[i]);
}
END_TEST

START_TEST(identity_of_root_is_bounded_by_device_only)
{
	static struct mspd_identity all[ALL];
	int i;

	keep_files_busy();
	for (i = 0; i < ALL; i++) {
		open_identity(&all[i]);
		all[i].caller.uid = 0;
		all[i].caller.user_ns = INITIAL_NS;
		all[i].caller.exe.device = (uint32_t)i;
		ck_assert(looks(&all[i]));
	}
	close_all(all);
}
END_TEST

START_TEST(identities_say_whether_a_look_still_hangs)
{
	keep_files_busy();
	ck_assert(mspd_identities_close(&shared, 1));
	let_files_go();
	/* as after a start; teardown() ends it */
	ck_assert(!mspd_identities_close(&shared, 1));
}
END_TEST

START_TEST(identity_belongs_to_whoever_made_its_namespace)
{
	id.caller.user_ns = INITIAL_NS;
	id.caller.ns_owner = 1;
	ck_assert_uint_eq(mspd_identity_owner(&id),
			  mspd_fair_key(MSPD_FAIR_USER, UID));
	id.caller.user_ns = 7;
	ck_assert_uint_eq(mspd_identity_owner(&id),
			  mspd_fair_key(MSPD_FAIR_USER, 1));
	id.caller.ns_owner = 0;
	ck_assert_uint_eq(mspd_identity_owner(&id),
			  mspd_fair_key(MSPD_FAIR_NESTED, UID));
	id.known = false;
	ck_assert_uint_eq(mspd_identity_owner(&id),
			  mspd_fair_key(MSPD_FAIR_UNKNOWN, 0));
}
END_TEST

/* This process, as the kernel side has it. */
static void be_this_process(struct mspd_identity *who)
{
	unsigned long long ticks = 0;
	FILE *file = fopen("/proc/self/stat", "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file,
				"%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u "
				"%*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
				&ticks),
			 1);
	fclose(file);
	who->caller.pid = (uint32_t)getpid();
	who->caller.start_ns =
		ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

START_TEST(identity_has_the_command_of_its_process)
{
	be_this_process(&id);
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	ck_assert_ptr_nonnull(id.command);
	ck_assert_ptr_nonnull(strstr(id.command, "test_mspd_identity"));
	/* and the next one has it at once */
	other.caller = id.caller;
	ck_assert(complete(&other, EVERYONE));
	ck_assert_str_eq(other.command, id.command);
}
END_TEST

/* Once names are known, nothing else is waited for. */
static void know_names(void)
{
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
}

static void keep_readers_busy(struct mspd_workers *pool)
{
	static int job;
	struct mspd_work work = { .work = hang_on_file, .done = ignore };

	files_hang = true;
	work.arg = &job;
	ck_assert_int_eq(mspd_workers_submit(pool, &work), 0);
}

START_TEST(identity_goes_on_without_a_command_that_hangs)
{
	know_names();
	keep_readers_busy(shared.commands[0]);
	/* what a rule needs would be waited for until the test ends */
	shared.timeout_ms = 3600000;
	be_this_process(&id);
	ck_assert(!complete(&id, EVERYONE));
	ck_assert_ptr_nonnull(id.reading);
	wait_for_it();
	check_all_names(&id);
	ck_assert_ptr_null(id.command);
	/* it is not asked for with each request */
	ck_assert(complete(&id, EVERYONE));
	let_files_go();
}
END_TEST

START_TEST(identity_of_root_has_its_command_while_others_hang)
{
	know_names();
	keep_readers_busy(shared.commands[0]);
	be_this_process(&id);
	id.caller.user_ns = INITIAL_NS;
	id.caller.uid = 0;
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	ck_assert_ptr_nonnull(id.command);
	let_files_go();
}
END_TEST

START_TEST(identity_that_closes_is_not_called_for_its_command)
{
	know_names();
	be_this_process(&id);
	ck_assert(!complete(&id, EVERYONE));
	/* done, or under way: the loop has not turned since */
	usleep(50000);
	mspd_identity_close(&id);
	memset(&id, 0xa5, sizeof(id));
	turn_for(50);
	ck_assert_int_eq(finished, 1);
	open_identity(&id);
}
END_TEST

static int lines_with(const char *text)
{
	char *log = scratch_read("ProxyAgent.log", NULL);
	const char *at = log;
	int n = 0;

	while ((at = strstr(at, text))) {
		at += strlen(text);
		n++;
	}
	free(log);
	return n;
}

/* What a local user can do thousands of times a second is no line each. */
START_TEST(identity_does_not_fill_the_log)
{
	struct mspd_identity many;
	int i;

	mspd_log_close();
	ck_assert_int_eq(
		mspd_log_open(scratch_path("."), MSPD_WARN, MSPD_ERROR), 0);
	shared.unknown_ms = 0;
	/* is not looked at, for there is no socket */
	shared.redirect = (struct msp_redirect *)&shared;
	for (i = 0; i < 100; i++) {
		mspd_identity_open(&many, &shared, -1);
		mspd_identity_close(&many);
	}
	shared.redirect = NULL;
	ck_assert_int_eq(lines_with("callers not known"), 1);
	hang(true, true);
	ck_assert(!complete(&id, EVERYONE));
	wait_for_it();
	for (i = 0; i < 100; i++)
		ck_assert(complete(&id, EVERYONE));
	ck_assert_int_eq(lines_with("not complete in time"), 1);
}
END_TEST

START_TEST(identity_of_the_unknown_is_complete)
{
	id.known = false;
	ck_assert(complete(&id, EVERYONE));
	other.caller.flags |= MSP_CALLER_KERNEL;
	ck_assert(complete(&other, EVERYONE));
	check_no_names(&other);
	ck_assert_int_eq(asked, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_identity");
	TCase *tc = tcase_create("identity");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, identity_waits_for_names_once);
	tcase_add_test(tc, identity_without_an_answer_in_time_has_no_names);
	tcase_add_test(tc, identity_has_the_user_while_groups_hang);
	tcase_add_test(tc, identity_waits_little_for_names_it_does_not_need);
	tcase_add_test(tc, identity_drops_names_of_another_generation);
	tcase_add_test(tc, identity_keeps_the_kernels_word_on_cut_groups);
	tcase_add_test(tc, identity_that_closes_is_not_called);
	tcase_add_test(
		tc, identity_looks_at_the_executable_once_for_the_same_rules);
	tcase_add_test(tc, identity_waits_for_the_other_answer_when_one_failed);
	tcase_add_test(tc, identity_looks_at_no_executable_that_no_rule_names);
	tcase_add_test(tc,
		       identity_that_closes_is_not_called_for_its_executable);
	tcase_add_test(tc, identity_that_closes_takes_its_look_back);
	tcase_add_loop_test(tc, identity_bounds_what_one_has_looked_at, 0,
			    sizeof(tells) / sizeof(tells[0]));
	tcase_add_test(tc, identity_asks_little_at_a_time_for_one_owner);
	tcase_add_test(tc, identity_of_root_is_bounded_by_device_only);
	tcase_add_test(tc, identities_say_whether_a_look_still_hangs);
	tcase_add_test(tc, identity_belongs_to_whoever_made_its_namespace);
	tcase_add_test(tc, identity_has_the_command_of_its_process);
	tcase_add_test(tc, identity_goes_on_without_a_command_that_hangs);
	tcase_add_test(tc, identity_of_root_has_its_command_while_others_hang);
	tcase_add_test(tc, identity_that_closes_is_not_called_for_its_command);
	tcase_add_test(tc, identity_does_not_fill_the_log);
	tcase_add_test(tc, identity_of_the_unknown_is_complete);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
