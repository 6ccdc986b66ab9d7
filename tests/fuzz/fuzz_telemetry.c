/* SPDX-License-Identifier: MIT */
/*
 * In: a document of the host. Aborts if what telemetry takes of it is no line
 * of UTF-8, or a target that leads elsewhere. libFuzzer's timeout notices time
 * that is not linear.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/telemetry_priv.h"
#include "mspd/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text, size_t room)
{
	size_t len = strnlen(text, room);
	size_t i, n;

	check(len < room);
	for (i = 0; i < len; i += n) {
		n = mspd_utf8_step(text + i, len - i);
		check(n > 0);
		check((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
	}
}

static void check_target(const char *url)
{
	const struct msp_address address = { htonl(0xa83f8110), 80, 0 };
	const char *target = mspd_url_target(url, &address);

	if (!target)
		return;
	check(strncmp(url, "http://168.63.129.16", 20) == 0);
	check(target[0] == '/');
	check(!strpbrk(target, " #\r\n\t"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *doc = (const char *)data;
	struct mspd_vm vm = { .image = false };
	char url[MSPD_VM_TARGET];

	mspd_vm_goal(&vm, doc, size, url, sizeof(url));
	check_text(vm.container, sizeof(vm.container));
	check_text(url, sizeof(url));
	check_target(url);
	mspd_vm_shared(&vm, doc, size);
	check_text(vm.tenant, sizeof(vm.tenant));
	check_text(vm.role, sizeof(vm.role));
	check_text(vm.instance, sizeof(vm.instance));
	mspd_vm_compute(&vm, doc, size);
	check(strnlen(vm.vm_id, sizeof(vm.vm_id)) < sizeof(vm.vm_id));
	return 0;
}
