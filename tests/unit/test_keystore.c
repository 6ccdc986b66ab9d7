/* SPDX-License-Identifier: MIT */
/*
 * In: a directory of our own, made odd in many ways. Out: whether keys come
 * back as they were saved, and nothing else comes back at all.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <msp/keystore.h>

#include "tests/lib/failalloc.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define GUID	 "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define OTHER	 "00000000-0316-4ad3-94a7-8ccbdee8ccbf"
#define KEY_HEX                                                                \
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"

/* spec 5.6, as the reference writes it */
#define FILE_TEXT(incarnation, guid)                                           \
	"{\n  \"authorizationScheme\": \"Azure-HMAC-SHA256\",\n" incarnation   \
	"  \"guid\": \"" guid "\",\n"                                          \
	"  \"issued\": \"2021-05-05T 12:00:00Z\",\n"                           \
	"  \"key\": \"" KEY_HEX "\"\n}"
#define INCARNATION "  \"incarnationId\": 1,\n"

static char base[] = "/tmp/msp-keystore-XXXXXX";
static char dir[64]; /* base/keys */
static struct msp_keystore *store;

static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void remove_all(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	ck_assert_int_eq(system(command), 0);
}

static void setup(void)
{
	strcpy(base + sizeof(base) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/keys", base);
	ck_assert_int_eq(msp_keystore_open(&store, dir, strlen(dir), NULL), 0);
}

static void teardown(void)
{
	msp_keystore_free(store);
	store = NULL;
	remove_all();
	ck_assert_int_eq(failalloc_live(), 0);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static size_t read_file(const char *name, char *out, size_t size)
{
	int fd = open(in_dir(name), O_RDONLY);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, out, size - 1);
	ck_assert_int_ge(n, 0);
	out[n] = '\0';
	close(fd);
	return (size_t)n;
}

static struct msp_key *parse_key(const char *text)
{
	struct msp_key *key;

	ck_assert_int_eq(msp_key_parse(&key, text, strlen(text), NULL), 0);
	return key;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* ---- saving ------------------------------------------------------------ */

static const char *const texts[] = {
	FILE_TEXT("", GUID),
	FILE_TEXT(INCARNATION, GUID),
};

START_TEST(keystore_writes_the_files_of_the_reference)
{
	struct msp_key *key = parse_key(texts[_i]);
	char text[1024];

	umask(0);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	msp_key_free(key);
	read_file(GUID ".key", text, sizeof(text));
	ck_assert_str_eq(text, texts[_i]);
	ck_assert_uint_eq(mode_of(in_dir(GUID ".key")), 0600);
	ck_assert_int_ne(access(in_dir(GUID ".tmp"), F_OK), 0);
}
END_TEST

START_TEST(keystore_gives_back_what_was_saved)
{
	static const char odd[] =
		"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "
		"\"incarnationId\": 4294967295, \"guid\": \"" GUID "\", "
		"\"issued\": \"a\\\"b\\\\c\\u0001\\n\\u00e9\", "
		"\"key\": \"" KEY_HEX "\"}";
	struct msp_key *key = parse_key(odd), *again;
	uint32_t incarnation = 0;

	umask(0777);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	umask(022);
	ck_assert_uint_eq(mode_of(in_dir(GUID ".key")), 0600);
	ck_assert_int_eq(msp_keystore_load(store, &again, GUID, NULL), 0);
	ck_assert(msp_key_equal(key, again));
	ck_assert_str_eq(msp_key_issued(again), "a\"b\\c\x01\n\xc3\xa9");
	ck_assert(msp_key_incarnation(again, &incarnation));
	ck_assert_uint_eq(incarnation, UINT32_MAX);
	msp_key_free(again);
	msp_key_free(key);
}
END_TEST

START_TEST(keystore_replaces_what_a_crash_left)
{
	struct msp_key *key = parse_key(texts[0]);
	char text[1024];

	if (_i == 0)
		write_file(GUID ".tmp", "half", 0644);
	else
		ck_assert_int_eq(symlink("victim", in_dir(GUID ".tmp")), 0);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	msp_key_free(key);
	read_file(GUID ".key", text, sizeof(text));
	ck_assert_str_eq(text, texts[0]);
	ck_assert_int_ne(access(in_dir("victim"), F_OK), 0);
	ck_assert_uint_eq(mode_of(in_dir(GUID ".key")), 0600);
}
END_TEST

START_TEST(keystore_keeps_old_file_when_it_cannot_save)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key = parse_key(texts[1]);
	char text[1024];

	write_file(GUID ".key", texts[0], 0600);
	/* neither to be written nor to be removed, not even by root */
	ck_assert_int_eq(mkdir(in_dir(GUID ".tmp"), 0700), 0);
	ck_assert_int_eq(msp_keystore_save(store, key, &info), MSP_ERR_SYS);
	msp_key_free(key);
	ck_assert_ptr_nonnull(
		strstr(info.text, "Failed to store key locally with error"));
	ck_assert_int_ne(info.sys_errno, 0);
	read_file(GUID ".key", text, sizeof(text));
	ck_assert_str_eq(text, texts[0]);
}
END_TEST

START_TEST(keystore_makes_a_directory_that_was_removed)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key = parse_key(texts[0]), *again;
	struct msp_keystore *s;

	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(symlink("/nowhere", dir), 0);
	ck_assert_int_eq(msp_keystore_save(store, key, &info), MSP_ERR_SYS);
	ck_assert_ptr_nonnull(strstr(info.text, dir));
	ck_assert_int_eq(unlink(dir), 0);

	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	ck_assert_uint_eq(mode_of(dir), 0700);
	ck_assert_int_eq(msp_keystore_load(store, &again, GUID, NULL), 0);
	ck_assert_int_eq(msp_keystore_open(&s, dir, strlen(dir), NULL), 0);
	ck_assert_int_eq(msp_keystore_lock(s, NULL), MSP_ERR_BUSY);
	msp_keystore_free(s);
	msp_key_free(again);
	msp_key_free(key);
}
END_TEST

/* What could not be made was one of its parents, which is no place for keys. */
START_TEST(keystore_makes_no_other_directory_the_next_time)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key = parse_key(texts[0]);
	char top[64], parent[72], path[80];
	struct msp_keystore *s;
	int fd;

	snprintf(top, sizeof(top), "%s/top", base);
	snprintf(parent, sizeof(parent), "%s/parent", top);
	snprintf(path, sizeof(path), "%s/keys", parent);
	ck_assert_int_eq(msp_keystore_open(&s, path, strlen(path), NULL), 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(parent), 0);
	ck_assert_int_eq(rmdir(top), 0);
	fd = open(top, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(msp_keystore_save(s, key, &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ENOTDIR);
	ck_assert_ptr_nonnull(strstr(info.text, "/top/parent'"));
	ck_assert_int_eq(unlink(top), 0);

	ck_assert_int_eq(msp_keystore_save(s, key, NULL), 0);
	ck_assert_uint_eq(mode_of(path), 0700);
	msp_keystore_free(s);
	msp_key_free(key);
}
END_TEST

START_TEST(keystore_cleans_up_when_rename_fails)
{
	struct msp_key *key = parse_key(texts[0]);

	ck_assert_int_eq(mkdir(in_dir(GUID ".key"), 0700), 0);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), MSP_ERR_SYS);
	ck_assert_int_ne(access(in_dir(GUID ".tmp"), F_OK), 0);
	msp_key_free(key);
}
END_TEST

/* ---- loading ----------------------------------------------------------- */

static const char *const bad_guids[] = {
	"",
	"x",
	"../../../../../../../../../etc/passwd",
	"9cf81e97-0316-4ad3-94a7-8ccbdee8ccb",
	"9cf81e97-0316-4ad3-94a7-8ccbdee8ccbff",
	"9cf81e97-0316-4ad3-94a7-8ccbdee8ccb/",
	"9cf81e97-0316-4ad3-94a7-8ccbdee8ccb.",
	"../81e97-0316-4ad3-94a7-8ccbdee8ccbf",
	"9cf81e97-0316-4ad3-94a7_8ccbdee8ccbf",
};

START_TEST(keystore_refuses_bad_guid)
{
	struct msp_key *key;

	ck_assert_int_eq(msp_keystore_load(store, &key, bad_guids[_i], NULL),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(key);
}
END_TEST

static const struct {
	const char *text;
	mode_t mode;
	int rc;
} files[] = {
	{ FILE_TEXT(INCARNATION, GUID), 0600, 0 },
	{ FILE_TEXT("", GUID), 0400, 0 },
	{ FILE_TEXT("", GUID), 0640, MSP_ERR_SCHEMA },
	{ FILE_TEXT("", GUID), 0604, MSP_ERR_SCHEMA },
	{ FILE_TEXT("", GUID), 0620, MSP_ERR_SCHEMA },
	{ FILE_TEXT("", GUID), 0601, MSP_ERR_SCHEMA },
	{ FILE_TEXT("", OTHER), 0600, MSP_ERR_SCHEMA },
	{ "", 0600, MSP_ERR_SYNTAX },
	{ "{", 0600, MSP_ERR_SYNTAX },
	{ "{}", 0600, MSP_ERR_SCHEMA },
};

START_TEST(keystore_takes_only_good_file)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key;
	int rc = files[_i].rc;

	write_file(GUID ".key", files[_i].text, files[_i].mode);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, &info), rc);
	ck_assert((key != NULL) == (rc == 0));
	ck_assert((strlen(info.text) > 0) == (rc != 0));
	ck_assert_ptr_null(strstr(info.text, "4A404E"));
	msp_key_free(key);
}
END_TEST

START_TEST(keystore_refuses_what_is_no_file)
{
	struct msp_key *key;

	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, NULL),
			 MSP_ERR_NOENT);
	ck_assert_int_eq(mkfifo(in_dir(GUID ".key"), 0600), 0);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, NULL),
			 MSP_ERR_SCHEMA);
	ck_assert_int_eq(unlink(in_dir(GUID ".key")), 0);
	ck_assert_int_eq(mkdir(in_dir(GUID ".key"), 0700), 0);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, NULL),
			 MSP_ERR_SCHEMA);
	ck_assert_int_eq(rmdir(in_dir(GUID ".key")), 0);
	write_file("real", texts[0], 0600);
	ck_assert_int_eq(symlink("real", in_dir(GUID ".key")), 0);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, NULL),
			 MSP_ERR_SYS);
	ck_assert_ptr_null(key);
}
END_TEST

START_TEST(keystore_refuses_large_file)
{
	struct msp_key *key;

	write_file(GUID ".key", texts[0], 0600);
	ck_assert_int_eq(truncate(in_dir(GUID ".key"), 65537), 0);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, NULL),
			 MSP_ERR_LIMIT);
	ck_assert_int_eq(truncate(in_dir(GUID ".key"), 65536), 0);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, NULL),
			 MSP_ERR_SYNTAX);
}
END_TEST

START_TEST(keystore_survives_every_failed_allocation)
{
	struct msp_key *key = parse_key(texts[1]), *again = NULL;
	struct msp_key *other = parse_key(FILE_TEXT(INCARNATION, OTHER));
	struct msp_keystore *s = NULL;
	long n;
	int rc;

	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_keystore_open(&s, dir, strlen(dir), NULL);
		if (rc == 0)
			rc = msp_keystore_save(s, key, NULL);
		if (rc == 0)
			rc = msp_keystore_load(s, &again, GUID, NULL);
		if (rc == 0)
			rc = msp_keystore_prune(s, other, NULL);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		msp_key_free(again);
		again = NULL;
		msp_keystore_free(s);
		s = NULL;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 4);
	ck_assert(msp_key_equal(key, again));
	msp_key_free(again);
	msp_key_free(other);
	msp_key_free(key);
	msp_keystore_free(s);
}
END_TEST

/* ---- one writer -------------------------------------------------------- */

static struct msp_keystore *open_store(void)
{
	struct msp_keystore *s;

	ck_assert_int_eq(msp_keystore_open(&s, dir, strlen(dir), NULL), 0);
	return s;
}

/* The child has the lock when this returns, until it is killed or *release
 * is closed. */
static pid_t lock_elsewhere(int *release)
{
	int ready[2], gate[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(gate), 0);
	pid = fork();
	if (pid == 0) {
		struct msp_keystore *s = NULL;

		close(gate[1]);
		if (msp_keystore_open(&s, dir, strlen(dir), NULL) < 0 ||
		    msp_keystore_lock(s, NULL) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		while (read(gate[0], &byte, 1) > 0)
			;
		msp_keystore_free(s);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	close(ready[1]);
	close(gate[0]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*release = gate[1];
	return pid;
}

static void check_busy(int rc, const struct msp_error_info *info, pid_t holder)
{
	char process[48];

	snprintf(process, sizeof(process), "another agent, process %ld",
		 (long)holder);
	ck_assert_int_eq(rc, MSP_ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(info->text, dir));
	ck_assert_ptr_nonnull(strstr(info->text, process));
}

/* _i: the holder ends well, or is killed */
START_TEST(keystore_names_the_process_that_has_it)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int release, status;
	pid_t pid = lock_elsewhere(&release);
	struct msp_key *key = parse_key(texts[0]), *again;

	check_busy(msp_keystore_lock(store, &info), &info, pid);
	check_busy(msp_keystore_save(store, key, &info), &info, pid);
	ck_assert_int_ne(access(in_dir(GUID ".key"), F_OK), 0);
	write_file(GUID ".key", texts[0], 0600);
	check_busy(msp_keystore_remove(store, GUID, &info), &info, pid);
	check_busy(msp_keystore_prune(store, key, &info), &info, pid);
	/* to read takes no lock */
	ck_assert_int_eq(msp_keystore_load(store, &again, GUID, NULL), 0);
	msp_key_free(again);

	if (_i)
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
	close(release);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, _i ? SIGKILL : 0);
	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert_int_eq(msp_keystore_remove(store, GUID, NULL), 0);
	msp_key_free(key);
}
END_TEST

START_TEST(keystore_has_one_writer_in_a_process_too)
{
	struct msp_keystore *s = open_store();

	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert_int_eq(msp_keystore_lock(s, NULL), MSP_ERR_BUSY);
	msp_keystore_free(store);
	store = NULL;
	ck_assert_int_eq(msp_keystore_lock(s, NULL), 0);
	msp_keystore_free(s);
	ck_assert_int_eq(msp_keystore_lock(NULL, NULL), MSP_ERR_INVAL);
}
END_TEST

/* ---- keys that are of no use any more ---------------------------------- */

static void save_key(unsigned int number, const char *incarnation)
{
	struct msp_key *key;
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", %s "
		 "\"guid\": \"%08x-0316-4ad3-94a7-8ccbdee8ccbf\", "
		 "\"issued\": \"\", \"key\": \"" KEY_HEX "\"}",
		 incarnation, number);
	key = parse_key(text);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	msp_key_free(key);
}

static bool has_key(unsigned int number)
{
	char name[64];

	snprintf(name, sizeof(name), "%08x-0316-4ad3-94a7-8ccbdee8ccbf.key",
		 number);
	return access(in_dir(name), F_OK) == 0;
}

static const struct {
	const char *other;
	const char *key;
	bool stays;
} incarnations[] = {
	{ "\"incarnationId\": 1,", "\"incarnationId\": 2,", false },
	{ "\"incarnationId\": 0,", "\"incarnationId\": 4294967295,", false },
	{ "\"incarnationId\": 2,", "\"incarnationId\": 2,", true },
	{ "\"incarnationId\": 3,", "\"incarnationId\": 2,", true },
	{ "", "\"incarnationId\": 2,", false },
	{ "\"incarnationId\": 3,", "", false },
	{ "", "", false },
};

START_TEST(keystore_removes_what_a_reset_has_superseded)
{
	struct msp_key *key;

	save_key(1, incarnations[_i].other);
	save_key(2, incarnations[_i].key);
	ck_assert_int_eq(
		msp_keystore_load(store, &key,
				  "00000002-0316-4ad3-94a7-8ccbdee8ccbf", NULL),
		0);
	ck_assert_int_eq(msp_keystore_prune(store, key, NULL), 0);
	msp_key_free(key);
	ck_assert(has_key(2));
	ck_assert(has_key(1) == incarnations[_i].stays);
}
END_TEST

/* Each is left alone: name, text, mode. */
static const struct {
	const char *name;
	const char *text;
	mode_t mode;
} strangers[] = {
	{ "x.key", FILE_TEXT("", GUID), 0600 },
	{ "README", "", 0600 },
	{ GUID ".encrypted", FILE_TEXT("", GUID), 0600 },
	{ GUID ".key.old", FILE_TEXT("", GUID), 0600 },
	{ GUID ".KEY", FILE_TEXT("", GUID), 0600 },
	{ GUID ".key", "", 0600 },
	{ GUID ".key", FILE_TEXT("", OTHER), 0600 },
	{ GUID ".key", FILE_TEXT("", GUID), 0644 },
	{ "9cf81e97-0316-4ad3-94a7_8ccbdee8ccbf.key", FILE_TEXT("", GUID),
	  0600 },
	{ "provisioned.tag", "", 0600 },
};

START_TEST(keystore_removes_only_keys_of_its_own)
{
	struct msp_key *key = parse_key(FILE_TEXT(INCARNATION, OTHER));

	write_file(strangers[_i].name, strangers[_i].text, strangers[_i].mode);
	ck_assert_int_eq(msp_keystore_prune(store, key, NULL), 0);
	msp_key_free(key);
	ck_assert_int_eq(access(in_dir(strangers[_i].name), F_OK), 0);
}
END_TEST

START_TEST(keystore_follows_no_link_to_remove_it)
{
	struct msp_key *key = parse_key(FILE_TEXT(INCARNATION, OTHER));

	write_file("real", FILE_TEXT("", GUID), 0600);
	ck_assert_int_eq(symlink("real", in_dir(GUID ".key")), 0);
	ck_assert_int_eq(msp_keystore_prune(store, key, NULL), 0);
	msp_key_free(key);
	ck_assert_int_eq(access(in_dir("real"), F_OK), 0);
}
END_TEST

static void make_older(unsigned int number, time_t by)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = time(NULL) - by } };
	char name[64];

	snprintf(name, sizeof(name), "%08x-0316-4ad3-94a7-8ccbdee8ccbf.key",
		 number);
	ck_assert_int_eq(utimensat(AT_FDCWD, in_dir(name), times, 0), 0);
}

static unsigned int count_keys(unsigned int from, unsigned int to)
{
	unsigned int n = 0;

	for (; from <= to; from++)
		n += has_key(from);
	return n;
}

static void leave_keys(unsigned int from, unsigned int to)
{
	char name[64], text[512];

	for (; from <= to; from++) {
		snprintf(name, sizeof(name),
			 "%08x-0316-4ad3-94a7-8ccbdee8ccbf.key", from);
		snprintf(text, sizeof(text),
			 "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "
			 "\"incarnationId\": 1, \"guid\": \"%.36s\", "
			 "\"issued\": \"\", \"key\": \"" KEY_HEX "\"}",
			 name);
		write_file(name, text, 0600);
		make_older(from, from < 10 ? 1000 : 100);
	}
}

/* Whoever takes the lock finds what agents left that were killed in time, and
 * does not know yet which key is in use. */
START_TEST(keystore_keeps_a_bounded_number)
{
	struct msp_key *key;
	const unsigned int last = MSP_KEYSTORE_MAX + 5;

	leave_keys(1, last);
	make_older(3, 5);
	make_older(4, 9999);
	write_file(GUID ".tmp", "half", 0600);
	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert_uint_eq(count_keys(1, last), last);
	ck_assert_int_ne(access(in_dir(GUID ".tmp"), F_OK), 0);

	/* the one in use is the oldest of all, and is counted */
	ck_assert_int_eq(
		msp_keystore_load(store, &key,
				  "00000004-0316-4ad3-94a7-8ccbdee8ccbf", NULL),
		0);
	msp_key_free(key);
	key = parse_key(FILE_TEXT(INCARNATION, OTHER));
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	ck_assert(has_key(0));
	ck_assert(has_key(3));
	ck_assert(has_key(4));
	ck_assert_uint_eq(count_keys(0, last), MSP_KEYSTORE_MAX);

	/* and so it is when another takes its place */
	make_older(0, 9999);
	leave_keys(1, last);
	ck_assert_int_eq(msp_keystore_prune(store, key, NULL), 0);
	msp_key_free(key);
	ck_assert(has_key(0));
	ck_assert_uint_eq(count_keys(0, last), MSP_KEYSTORE_MAX);
}
END_TEST

START_TEST(keystore_removes_one_key)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	save_key(1, "");
	save_key(2, "");
	ck_assert_int_eq(
		msp_keystore_remove(
			store, "00000001-0316-4ad3-94a7-8ccbdee8ccbf", NULL),
		0);
	ck_assert(!has_key(1));
	ck_assert(has_key(2));
	ck_assert_int_eq(msp_keystore_remove(store, GUID, &info),
			 MSP_ERR_NOENT);
	ck_assert_int_eq(mkdir(in_dir(GUID ".key"), 0700), 0);
	ck_assert_int_eq(msp_keystore_remove(store, GUID, &info), MSP_ERR_SYS);
	ck_assert_ptr_nonnull(strstr(info.text, "cannot remove"));
	ck_assert_int_eq(msp_keystore_remove(store, "../x", NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_keystore_remove(NULL, GUID, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_keystore_prune(store, NULL, NULL), MSP_ERR_INVAL);
}
END_TEST

static TCase *writer_case(void)
{
	TCase *tc = tcase_create("writer");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, keystore_names_the_process_that_has_it, 0, 2);
	tcase_add_test(tc, keystore_has_one_writer_in_a_process_too);
	tcase_add_loop_test(tc, keystore_removes_what_a_reset_has_superseded, 0,
			    COUNT(incarnations));
	tcase_add_loop_test(tc, keystore_removes_only_keys_of_its_own, 0,
			    COUNT(strangers));
	tcase_add_test(tc, keystore_follows_no_link_to_remove_it);
	tcase_add_test(tc, keystore_keeps_a_bounded_number);
	tcase_add_test(tc, keystore_removes_one_key);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("keystore");
	TCase *tc = tcase_create("keystore");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, keystore_writes_the_files_of_the_reference, 0,
			    COUNT(texts));
	tcase_add_test(tc, keystore_gives_back_what_was_saved);
	tcase_add_loop_test(tc, keystore_replaces_what_a_crash_left, 0, 2);
	tcase_add_test(tc, keystore_keeps_old_file_when_it_cannot_save);
	tcase_add_test(tc, keystore_makes_a_directory_that_was_removed);
	tcase_add_test(tc, keystore_makes_no_other_directory_the_next_time);
	tcase_add_test(tc, keystore_cleans_up_when_rename_fails);
	tcase_add_loop_test(tc, keystore_refuses_bad_guid, 0, COUNT(bad_guids));
	tcase_add_loop_test(tc, keystore_takes_only_good_file, 0, COUNT(files));
	tcase_add_test(tc, keystore_refuses_what_is_no_file);
	tcase_add_test(tc, keystore_refuses_large_file);
	tcase_add_test(tc, keystore_survives_every_failed_allocation);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, writer_case());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
