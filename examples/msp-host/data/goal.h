/* SPDX-License-Identifier: MIT */
/*
 * goal.h - what Azure wants the VM to be, in the two forms the guest reads:
 * WireServer's XML and HostGAPlugin's JSON.
 */
#ifndef HOST_GOAL_H
#define HOST_GOAL_H

#include "vm/vm.h"

/** The extension of the VM model's addProxyAgentExtension. */
#define GOAL_EXTENSION "Microsoft.CPlat.ProxyAgent.ProxyAgentLinux"

/**
 * struct goal - a VM's goal state
 * @incarnation: goes up when anything in it changes
 * @tag:         the same for the same contents, hex
 * @container:   guid of the VM's place on this host
 * @deployment:  guid, also the name of the tenant
 * @service:     guid
 * @role:        guid
 * @instance:    name of the role instance: "<deployment>._<role name>"
 */
struct goal {
	uint64_t incarnation;
	char tag[17];
	char container[RANDOM_GUID_SIZE];
	char deployment[RANDOM_GUID_SIZE];
	char service[RANDOM_GUID_SIZE];
	char role[RANDOM_GUID_SIZE];
	struct buf instance;
};

/* As it is now; notices what has changed since it was last asked for. Free
 * with goal_clear(); false: out of memory. */
bool goal_of(struct vm *vm, struct goal *out);
void goal_clear(struct goal *goal);

/* Text of an XML element or attribute. */
void goal_xml(struct buf *out, const char *text);

#endif
