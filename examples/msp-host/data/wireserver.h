/* SPDX-License-Identifier: MIT */
/*
 * wireserver.h - XML answers of WireServer.
 */
#ifndef HOST_WIRESERVER_H
#define HOST_WIRESERVER_H

#include "data/goal.h"

#define XML_TYPE "text/xml; charset=utf-8"
#define XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"

/* config.c: the documents the goal state points to. address: of the VM. */
void config_shared(const struct vm *vm, const struct goal *goal,
		   const char *address, struct buf *out);
void config_environment(const struct vm *vm, const struct goal *goal,
			struct buf *out);
void config_extensions(const struct vm *vm, const struct goal *goal,
		       struct buf *out);

/* certificates.c: the tenant's certificate, encrypted for the one in
 * x-ms-guest-agent-public-x509-cert; always answers. */
void certificates_call(struct call *call, const struct goal *goal);

/* An error as WireServer gives it. */
void wireserver_error(struct call *call, unsigned int status, const char *code,
		      const char *text);

#endif
