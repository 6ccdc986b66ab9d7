/* SPDX-License-Identifier: MIT */
/*
 * In: the bytes of a configuration file. Out: nothing; aborts when a
 * configuration is not what config.h promises, or an error or a warning could
 * not be shown as one line. Must never leave a file behind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mspd/config.h"
#include "mspd/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_line(const char *text)
{
	size_t len = strlen(text), i, n;

	must(len > 0);
	for (i = 0; i < len; i += n) {
		n = mspd_utf8_step(text + i, len - i);
		must(n > 0);
		must((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
	}
}

static void check_path(const char *path)
{
	must(path && (!path[0] || path[0] == '/'));
}

static bool same(const struct msp_address *a, const struct msp_address *b)
{
	return a->ip == b->ip && a->port == b->port;
}

static void check_config(const struct mspd_config *c)
{
	size_t i, k;

	check_path(c->log_dir);
	check_path(c->key_dir);
	check_path(c->status_dir);
	check_path(c->run_dir);
	must(c->key_dir[0] && c->status_dir[0] && c->run_dir[0]);
	must(c->listener.ip && c->listener.port);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		must(c->endpoints[i].ip && c->endpoints[i].port);
		must(!same(&c->endpoints[i], &c->listener));
		for (k = 0; k < i; k++)
			must(!same(&c->endpoints[i], &c->endpoints[k]));
	}
	must(c->max_connections > 0 && c->poll_ms > 0);
	for (i = 0; i < c->n_warnings; i++)
		check_line(c->warnings[i]);
}

/* A file without a name: nothing is left, whatever happens. */
static int open_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	must(fd >= 0);
	must(size == 0 || write(fd, data, size) == (ssize_t)size);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mspd_config config;
	char path[64], error[512];
	int fd, rc;

	if (size > (size_t)MSPD_CONFIG_MAX_BYTES + 1)
		return 0;
	fd = open_file(data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = mspd_config_load(&config, path, error, sizeof(error));
	close(fd);
	if (rc < 0) {
		must(rc == -EINVAL);
		check_line(error);
		must(!config.log_dir && !config.n_warnings);
		return 0;
	}
	check_config(&config);
	mspd_config_free(&config);
	return 0;
}
