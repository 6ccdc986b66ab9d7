/* SPDX-License-Identifier: MIT */
/*
 * In: keys, and the guids the host names them by. Out: the same keys after a
 * restart. Must never follow a link, use a guid as a file name unchecked,
 * read what others could have written, or leave half a file under a key's
 * name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msp/signer.h>

#include "libmsp/info.h"
#include "libmsp/key_priv.h"
#include "libmsp/keystore_priv.h"
#include "libmsp/mem.h"

#define FILE_MAX_BYTES 65536
#define NAME_SIZE      MSP_KEYSTORE_NAME_SIZE
#define ENDING	       ".key"
/* All of a key's file but when it was issued, of which one byte takes six at
 * most: \u001f. */
#define TEXT_MAX    512
#define ESCAPED_MAX 6
_Static_assert(TEXT_MAX + MSP_KEY_ISSUED_MAX * ESCAPED_MAX <= FILE_MAX_BYTES,
	       "what is written can be read");

/* ---- directory --------------------------------------------------------- */

/* The path is whole again on return: a store tries once more with it. */
static int make_parents(char *path, struct msp_error_info *info)
{
	char *slash = path;
	int rc = 0;

	while (rc == 0 && (slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			rc = msp_fail_sys(info, errno, "cannot make '%s'",
					  path);
		*slash = '/';
	}
	return rc;
}

static int foreign(const char *name, const struct stat *st,
		   struct msp_error_info *info)
{
	return msp_fail_sys(info, EPERM, "'%s' belongs to user %lu", name,
			    (unsigned long)st->st_uid);
}

/* Whoever owns the directory can put any key there. */
static int claim_directory(int dir, const char *path,
			   struct msp_error_info *info)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return msp_fail_sys(info, errno, "cannot look at '%s'", path);
	if (st.st_uid != geteuid())
		return foreign(path, &st, info);
	if ((st.st_mode & 07777) != 0700 && fchmod(dir, 0700) < 0)
		return msp_fail_sys(info, errno, "cannot set the mode of '%s'",
				    path);
	return 0;
}

static int open_directory(int *out, char *path, struct msp_error_info *info)
{
	int dir, rc;

	rc = make_parents(path, info);
	if (rc < 0)
		return rc;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return msp_fail_sys(info, errno, "cannot make '%s'", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return msp_fail_sys(info, errno, "cannot open '%s'", path);
	rc = claim_directory(dir, path, info);
	if (rc < 0) {
		close(dir);
		return rc;
	}
	*out = dir;
	return 0;
}

int msp_keystore_open(struct msp_keystore **out, const char *path, size_t len,
		      struct msp_error_info *info)
{
	struct msp_keystore *store = NULL;
	int rc = MSP_ERR_NOMEM;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!path || !len || len >= PATH_MAX || memchr(path, '\0', len))
		return msp_fail(info, MSP_ERR_INVAL, "not a directory's name");
	/* with a slash at its end, a link would be followed after all */
	while (len > 1 && path[len - 1] == '/')
		len--;

	store = msp_mem_zalloc(sizeof(*store));
	if (!store)
		return msp_fail(info, rc, "out of memory");
	store->dir = -1;
	store->path = msp_mem_strndup(path, len);
	if (!store->path) {
		msp_fail(info, rc, "out of memory");
		goto out;
	}
	rc = open_directory(&store->dir, store->path, info);
	if (rc < 0)
		goto out;

	*out = store;
	store = NULL;
out:
	msp_keystore_free(store);
	return rc;
}

int msp_keystore_reopen(struct msp_keystore *store, struct msp_error_info *info)
{
	int dir, rc;

	rc = open_directory(&dir, store->path, info);
	if (rc < 0)
		return rc;
	close(store->dir);
	store->dir = dir;
	store->locker = 0;
	return 0;
}

void msp_keystore_free(struct msp_keystore *store)
{
	if (!store)
		return;
	/* a child that was forked may have it open for long yet, and one that
	 * frees its copy must not take the lock from us */
	if (store->locker == getpid())
		flock(store->dir, LOCK_UN);
	if (store->dir >= 0)
		close(store->dir);
	msp_mem_free(store->path);
	msp_mem_free(store);
}

/* ---- reading ----------------------------------------------------------- */

static int open_key(const struct msp_keystore *store, const char *name,
		    int *out, struct msp_error_info *info)
{
	/* not to hang if it is a FIFO */
	*out = openat(store->dir, name,
		      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*out >= 0)
		return 0;
	if (errno == ENOENT)
		return msp_fail(info, MSP_ERR_NOENT, "there is no file '%s'",
				name);
	return msp_fail_sys(info, errno, "cannot open '%s'", name);
}

static int check_file(int fd, const char *name, struct msp_error_info *info)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return msp_fail_sys(info, errno, "cannot look at '%s'", name);
	if (!S_ISREG(st.st_mode))
		return msp_fail(info, MSP_ERR_SCHEMA, "'%s' is no file", name);
	if (st.st_uid != geteuid())
		return foreign(name, &st, info);
	if (st.st_mode & 077)
		return msp_fail(info, MSP_ERR_SCHEMA,
				"'%s' is open to others, mode %04o", name,
				(unsigned int)(st.st_mode & 07777));
	if (st.st_size > FILE_MAX_BYTES)
		return msp_fail(info, MSP_ERR_LIMIT,
				"'%s' is larger than %d bytes", name,
				FILE_MAX_BYTES);
	return 0;
}

/* Up to size bytes; it may have grown since it was looked at. */
static int read_file(int fd, const char *name, char *buffer, size_t size,
		     size_t *len, struct msp_error_info *info)
{
	for (*len = 0; *len < size;) {
		ssize_t n = read(fd, buffer + *len, size - *len);

		if (n == 0)
			return 0;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			return msp_fail_sys(info, errno, "cannot read '%s'",
					    name);
	}
	return msp_fail(info, MSP_ERR_LIMIT, "'%s' is larger than %d bytes",
			name, FILE_MAX_BYTES);
}

static int parse_file(struct msp_key **out, const char *guid,
		      const char *ending, const char *text, size_t len,
		      struct msp_error_info *info)
{
	int rc = msp_key_parse(out, text, len, info);

	if (rc < 0)
		return rc;
	if (msp_guid_equal(msp_key_guid(*out), guid))
		return 0;
	msp_key_free(*out);
	*out = NULL;
	return msp_fail(info, MSP_ERR_SCHEMA,
			"'%s%s' holds the key of another guid", guid, ending);
}

int msp_keystore_read(struct msp_keystore *store, struct msp_key **out,
		      const char *guid, const char *ending,
		      struct msp_error_info *info)
{
	char name[NAME_SIZE];
	char *text = NULL;
	size_t len = 0;
	int fd = -1;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!store || !guid ||
	    !msp_guid_valid(guid, strnlen(guid, MSP_GUID_LEN + 1)))
		return msp_fail(info, MSP_ERR_INVAL, "not a guid");

	snprintf(name, sizeof(name), "%s%s", guid, ending);
	rc = open_key(store, name, &fd, info);
	if (rc < 0)
		return rc;
	rc = check_file(fd, name, info);
	if (rc < 0)
		goto out;
	text = msp_mem_alloc(FILE_MAX_BYTES + 1);
	if (!text) {
		rc = msp_fail(info, MSP_ERR_NOMEM, "out of memory");
		goto out;
	}
	rc = read_file(fd, name, text, FILE_MAX_BYTES + 1, &len, info);
	if (rc == 0)
		rc = parse_file(out, guid, ending, text, len, info);
out:
	msp_mem_wipe(text, len);
	msp_mem_free(text);
	close(fd);
	return rc;
}

/* Whether or not it can be read: it is the one that is wanted. */
int msp_keystore_load(struct msp_keystore *store, struct msp_key **out,
		      const char *guid, struct msp_error_info *info)
{
	if (store && guid &&
	    msp_guid_valid(guid, strnlen(guid, MSP_GUID_LEN + 1)))
		memcpy(store->used, guid, MSP_GUID_LEN);
	return msp_keystore_read(store, out, guid, ENDING, info);
}

void msp_keystore_use(struct msp_keystore *store, const struct msp_key *key)
{
	memcpy(store->used, msp_key_guid(key), MSP_GUID_LEN);
}

/* ---- the file's text (spec 5.6) ---------------------------------------- */

struct text {
	char *at; /* owned; holds the key's digits */
	size_t len;
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s);

	memcpy(t->at + t->len, s, n);
	t->len += n;
}

static void put_escaped(struct text *t, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			t->at[t->len++] = '\\';
			t->at[t->len++] = (char)c;
		} else if (c >= 0x20) {
			t->at[t->len++] = (char)c;
		} else {
			put(t, "\\u00");
			t->at[t->len++] = hex[c >> 4];
			t->at[t->len++] = hex[c & 15];
		}
	}
}

static void put_key(struct text *t, const struct msp_key *key)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *bytes = msp_key_bytes(key);
	size_t i;

	for (i = 0; i < MSP_KEY_BYTES; i++) {
		t->at[t->len++] = hex[bytes[i] >> 4];
		t->at[t->len++] = hex[bytes[i] & 15];
	}
}

static int write_text(struct text *t, const struct msp_key *key,
		      struct msp_error_info *info)
{
	const char *issued = msp_key_issued(key);
	size_t len = strlen(issued);
	uint32_t incarnation;
	char line[64];

	t->at = msp_mem_alloc(TEXT_MAX + len * ESCAPED_MAX);
	if (!t->at)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	put(t, "{\n  \"authorizationScheme\": \"" MSP_SCHEME "\",\n");
	if (msp_key_incarnation(key, &incarnation)) {
		snprintf(line, sizeof(line), "  \"incarnationId\": %lu,\n",
			 (unsigned long)incarnation);
		put(t, line);
	}
	put(t, "  \"guid\": \"");
	put(t, msp_key_guid(key));
	put(t, "\",\n  \"issued\": \"");
	put_escaped(t, issued);
	put(t, "\",\n  \"key\": \"");
	put_key(t, key);
	put(t, "\"\n}");
	return 0;
}

/* ---- writing ----------------------------------------------------------- */

/* A predecessor that crashed may have left one: it is removed, never written
 * into, because somebody could still hold it open. */
static int open_temp(const struct msp_keystore *store, const char *temp)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(store->dir, temp, flags, 0600);

	if (fd >= 0 || errno != EEXIST)
		return fd;
	if (unlinkat(store->dir, temp, 0) < 0)
		return -1;
	return openat(store->dir, temp, flags, 0600);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return EIO;
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

/* 0 or an errno. */
static int fill_temp(int fd, const struct text *t)
{
	int err = 0;

	/* O_CREAT's mode went through the umask, which may take from it */
	if (fchmod(fd, 0600) < 0)
		err = errno;
	if (!err)
		err = write_all(fd, t->at, t->len);
	if (!err && fsync(fd) < 0)
		err = errno;
	if (close(fd) < 0 && !err && errno != EINTR)
		err = errno;
	return err;
}

static int store_text(const struct msp_keystore *store, const char *guid,
		      const char *ending, const struct text *t,
		      struct msp_error_info *info)
{
	static const char what[] = "Key error: Failed to store key locally "
				   "with error";
	char temp[NAME_SIZE], name[NAME_SIZE];
	int fd, err;

	snprintf(temp, sizeof(temp), "%s.tmp", guid);
	snprintf(name, sizeof(name), "%s%s", guid, ending);
	fd = open_temp(store, temp);
	if (fd < 0)
		return msp_fail_sys(info, errno, "%s: cannot create '%s'", what,
				    temp);
	err = fill_temp(fd, t);
	if (err) {
		unlinkat(store->dir, temp, 0);
		return msp_fail_sys(info, err, "%s: cannot write '%s'", what,
				    temp);
	}
	if (renameat(store->dir, temp, store->dir, name) < 0) {
		err = errno;
		unlinkat(store->dir, temp, 0);
		return msp_fail_sys(info, err, "%s: cannot rename to '%s'",
				    what, name);
	}
	if (fsync(store->dir) < 0)
		return msp_fail_sys(info, errno,
				    "%s: cannot sync the key "
				    "directory",
				    what);
	return 0;
}

static int check_failed(int rc, const struct msp_error_info *cause,
			struct msp_error_info *info)
{
	return msp_fail(info, MSP_ERR_CRYPTO,
			"Key error: Failed to check local key with error: %s",
			rc < 0 ? cause->text
			       : "Local key guid or key value is not matched.");
}

/* A key that cannot be read back must not be attested: the host would latch
 * one that is lost at the next start. Both halves of that are here: what is
 * about to be written is this key, and what is there then is what was written.
 * Only the first one needs memory, so that a lack of it changes nothing. */
static int check_text(const struct text *t, const struct msp_key *key,
		      struct msp_error_info *info)
{
	struct msp_error_info cause = MSP_ERROR_INFO_INIT;
	struct msp_key *again = NULL;
	bool same;
	int rc;

	rc = msp_key_parse(&again, t->at, t->len, &cause);
	if (rc == MSP_ERR_NOMEM)
		return msp_fail(info, rc, "out of memory");
	same = rc == 0 && msp_key_equal(key, again);
	msp_key_free(again);
	return same ? 0 : check_failed(rc, &cause, info);
}

static int read_again(struct msp_keystore *store, const char *name,
		      struct text *again, size_t room,
		      struct msp_error_info *info)
{
	int fd, rc;

	rc = open_key(store, name, &fd, info);
	if (rc < 0)
		return rc;
	rc = check_file(fd, name, info);
	if (rc == 0)
		rc = read_file(fd, name, again->at, room, &again->len, info);
	close(fd);
	return rc;
}

static int check_stored(struct msp_keystore *store, const char *guid,
			const char *ending, const struct text *t,
			struct text *again, struct msp_error_info *info)
{
	struct msp_error_info cause = MSP_ERROR_INFO_INIT;
	char name[NAME_SIZE];
	int rc;

	snprintf(name, sizeof(name), "%s%s", guid, ending);
	rc = read_again(store, name, again, t->len + 1, &cause);
	if (rc == 0 && again->len == t->len &&
	    memcmp(again->at, t->at, t->len) == 0)
		return 0;
	return check_failed(rc, &cause, info);
}

/* Whoever removes the directory while we run gets a new one, rather than a
 * machine that is shut until we are started again. */
static int renew_directory(struct msp_keystore *store,
			   struct msp_error_info *info)
{
	struct stat st;

	if (fstat(store->dir, &st) == 0 && st.st_nlink > 0)
		return 0;
	return msp_keystore_reopen(store, info);
}

static void wipe_text(struct text *t)
{
	msp_mem_wipe(t->at, t->len);
	msp_mem_free(t->at);
}

static int save(struct msp_keystore *store, const struct msp_key *key,
		const char *ending, struct msp_error_info *info)
{
	const char *guid = msp_key_guid(key);
	struct text t = { NULL, 0 }, again = { NULL, 0 };
	int rc;

	rc = write_text(&t, key, info);
	if (rc == 0)
		rc = check_text(&t, key, info);
	if (rc < 0)
		goto out;
	again.at = msp_mem_alloc(t.len + 1);
	if (!again.at) {
		rc = msp_fail(info, MSP_ERR_NOMEM, "out of memory");
		goto out;
	}
	/* here, and not before: it may be the host's key that is the oldest,
	 * and which one that is was said before another was asked for. What is
	 * left over takes up room, and does no other harm */
	(void)msp_keystore_sweep(store, MSP_KEYSTORE_OLDEST, key, NULL);
	rc = store_text(store, guid, ending, &t, info);
	if (rc == 0)
		rc = check_stored(store, guid, ending, &t, &again, info);
out:
	wipe_text(&again);
	wipe_text(&t);
	return rc;
}

int msp_keystore_save(struct msp_keystore *store, const struct msp_key *key,
		      struct msp_error_info *info)
{
	int rc;

	if (!store || !key)
		return msp_fail(info, MSP_ERR_INVAL, "no store or no key");
	rc = renew_directory(store, info);
	if (rc == 0)
		rc = msp_keystore_lock(store, info);
	return rc < 0 ? rc : save(store, key, ENDING, info);
}

/* ---- two keys of one guid ---------------------------------------------- */

static int has_other(struct msp_keystore *store, const struct msp_key *key,
		     bool *other, struct msp_error_info *info)
{
	struct msp_key *found = NULL;
	int rc;

	rc = msp_keystore_read(store, &found, msp_key_guid(key), ENDING, NULL);
	*other = rc == MSP_ERR_NOMEM || (rc == 0 && !msp_key_equal(key, found));
	msp_key_free(found);
	return rc == MSP_ERR_NOMEM ? msp_fail(info, rc, "out of memory") : 0;
}

int msp_keystore_stage(struct msp_keystore *store, const struct msp_key *key,
		       bool *staged, struct msp_error_info *info)
{
	int rc = has_other(store, key, staged, info);

	if (rc < 0)
		return rc;
	if (!*staged)
		return msp_keystore_save(store, key, info);
	rc = msp_keystore_lock(store, info);
	return rc < 0 ? rc : save(store, key, MSP_KEYSTORE_STAGED, info);
}

int msp_keystore_commit(struct msp_keystore *store, const char *guid,
			struct msp_error_info *info)
{
	char from[NAME_SIZE], to[NAME_SIZE];

	snprintf(from, sizeof(from), "%s" MSP_KEYSTORE_STAGED, guid);
	snprintf(to, sizeof(to), "%s" ENDING, guid);
	if (renameat(store->dir, from, store->dir, to) < 0)
		return msp_fail_sys(info, errno, "cannot rename '%s' to '%s'",
				    from, to);
	if (fsync(store->dir) < 0)
		return msp_fail_sys(info, errno, "cannot sync '%s'",
				    store->path);
	return 0;
}

int msp_keystore_unstage(struct msp_keystore *store, const char *guid,
			 struct msp_error_info *info)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s" MSP_KEYSTORE_STAGED, guid);
	if (unlinkat(store->dir, name, 0) < 0 && errno != ENOENT)
		return msp_fail_sys(info, errno, "cannot remove '%s'", name);
	return 0;
}
