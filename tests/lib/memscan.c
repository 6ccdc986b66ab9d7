/* SPDX-License-Identifier: MIT */
/*
 * In: a random key. Out: where copies of it are in this process. Must never
 * make one.
 */
#include "tests/lib/memscan.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_BYTES 32
#define PART	  12 /* bytes or digits that are looked for */
#define FROM	  10 /* an allocator writes over the ends of a freed block */
#define CHUNK	  65536
#define TEXT	  16384

struct area {
	unsigned char raw[KEY_BYTES];
	char upper[2 * KEY_BYTES + 1];
	char lower[2 * KEY_BYTES + 1];
	char text[TEXT];
	unsigned char chunk[CHUNK];
};

static struct area *area;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool memscan_works(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return !SANITIZED && !(preloaded && strstr(preloaded, "vgpreload"));
}

void memscan_begin(void)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(area != MAP_FAILED, "mmap");
	must(getrandom(area->raw, KEY_BYTES, 0) == KEY_BYTES, "getrandom");
	for (i = 0; i < KEY_BYTES; i++) {
		area->upper[2 * i] = digits[area->raw[i] >> 4];
		area->upper[2 * i + 1] = digits[area->raw[i] & 15];
	}
	for (i = 0; i < 2 * KEY_BYTES; i++)
		area->lower[i] = (char)tolower((unsigned char)area->upper[i]);
}

void memscan_end(void)
{
	munmap(area, sizeof(*area));
	area = NULL;
}

const char *memscan_hex(void)
{
	return area->upper;
}

char *memscan_text(size_t size)
{
	must(size <= TEXT, "memscan_text");
	return area->text;
}

static const void *next(const void *at, const void *end, const void *part)
{
	return memmem(at, (size_t)((const char *)end - (const char *)at), part,
		      PART);
}

/* The first place in a range, NULL: none. */
static const void *first(const void *at, const void *end)
{
	const void *found = next(at, end, area->raw + FROM);
	size_t i;

	for (i = FROM; !found && i + PART < 2 * KEY_BYTES; i += PART)
		found = next(at, end, area->upper + i);
	for (i = FROM; !found && i + PART < 2 * KEY_BYTES; i += PART)
		found = next(at, end, area->lower + i);
	return found;
}

bool memscan_shows(const void *bytes, size_t len)
{
	return first(bytes, (const char *)bytes + len) != NULL;
}

struct range {
	uintptr_t from;
	uintptr_t to;
	char name[64];
};

/* Pieces overlap by less than what is looked for: nothing is counted twice. */
static unsigned int count(int mem, const struct range *r)
{
	uintptr_t at = r->from;
	unsigned int found = 0;

	while (at + PART <= r->to) {
		size_t n = r->to - at < CHUNK ? r->to - at : CHUNK;
		const unsigned char *hit, *end = area->chunk + n;

		if (pread(mem, area->chunk, n, (off_t)at) != (ssize_t)n)
			break; /* behind the end of a mapped file */
		for (hit = first(area->chunk, end); hit;
		     hit = first(hit + 1, end))
			found++;
		if (n < CHUNK)
			break;
		at += CHUNK - (PART - 1);
	}
	return found;
}

static bool overlaps(const struct range *r, const void *start, size_t len)
{
	return r->from < (uintptr_t)start + len && (uintptr_t)start < r->to;
}

/* false: nothing to be read there, or not ours */
static bool read_line(struct range *r, const char *line)
{
	unsigned long from, to;
	char flags[5];

	r->name[0] = '\0';
	if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %63s", &from, &to, flags,
		   r->name) < 3)
		return false;
	r->from = from;
	r->to = to;
	return flags[0] == 'r' && strncmp(r->name, "[v", 2) != 0;
}

struct memscan memscan_find(const void *kept, size_t kept_len)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	struct memscan m = { 0, 0, 0 };
	struct range r;
	char line[512];

	must(maps && mem >= 0, "/proc/self");
	while (fgets(line, sizeof(line), maps)) {
		if (!read_line(&r, line))
			continue;
		if (overlaps(&r, area, sizeof(*area))) {
			/* the kernel may have joined another one to it */
			struct range rest = { (uintptr_t)(area + 1), r.to, "" };

			r.to = (uintptr_t)area;
			if (rest.from < rest.to)
				m.other += count(mem, &rest);
		}
		if (r.from >= r.to)
			continue;
		if (kept && overlaps(&r, kept, kept_len)) {
			struct range own = { (uintptr_t)kept,
					     (uintptr_t)kept + kept_len, "" };
			unsigned int n = count(mem, &own);

			m.kept += n;
			m.other += count(mem, &r) - n;
		} else if (strcmp(r.name, "[stack]") == 0) {
			m.stack += count(mem, &r);
		} else {
			m.other += count(mem, &r);
		}
	}
	explicit_bzero(area->chunk, sizeof(area->chunk));
	fclose(maps);
	close(mem);
	return m;
}

void memscan_flags(char *out, size_t size, const void *at)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool inside = false;
	char line[512];

	must(smaps != NULL, "/proc/self/smaps");
	out[0] = '\0';
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= (uintptr_t)at && (uintptr_t)at < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, size, "%s", line + 8);
	}
	fclose(smaps);
}
