/* SPDX-License-Identifier: MIT */
/*
 * In: two endpoints, how many agents, their interval; then the end of standard
 * input. Out: a fleet that lived as agents do until then, and whether it is
 * whole at the end. Must never take a fault on the way for the end.
 *
 *   soak_fleet WIRESERVER:PORT IMDS:PORT AGENTS POLL_MS KEYS
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/fleet.h"
#include "tests/bench/measure.h"

/* Of each agent, at the end. */
#define QUESTIONS 8

static struct msp_address address(const char *text)
{
	struct msp_address out = { 0 };
	struct in_addr ip;
	char name[16];
	unsigned int port;

	if (sscanf(text, "%15[0-9.]:%u", name, &port) != 2 ||
	    inet_pton(AF_INET, name, &ip) != 1 || !port || port > 65535)
		measure_die("not an address and a port: %s", text);
	out.ip = ip.s_addr;
	out.port = (uint16_t)port;
	return out;
}

/* Polls of the agent that has the fewest, and of all. */
static unsigned int fewest_polls(const struct fleet *f, unsigned long *all)
{
	unsigned int fewest = f->agents[0].polls;
	size_t i;

	for (*all = 0, i = 0; i < f->n; i++) {
		*all += f->agents[i].polls;
		if (f->agents[i].polls < fewest)
			fewest = f->agents[i].polls;
	}
	return fewest;
}

int main(int argc, char **argv)
{
	struct fleet fleet = { .n = 0 };
	unsigned int on_the_way, wrong, fewest;
	unsigned long all;

	if (argc != 6)
		measure_die("soak_fleet WIRESERVER:PORT IMDS:PORT AGENTS "
			    "POLL_MS KEYS");
	fleet_open(&fleet, strtoul(argv[3], NULL, 10), address(argv[1]),
		   address(argv[2]), (uint32_t)strtoul(argv[4], NULL, 10),
		   argv[5]);
	fleet_latch(&fleet);
	puts("latched");
	fflush(stdout);
	fleet_tend(&fleet, STDIN_FILENO);
	fewest = fewest_polls(&fleet, &all);
	on_the_way = fleet_wrong(&fleet);

	fleet.host.why[0] = '\0';
	fleet_poll(&fleet, 1); /* who missed a reset learns of it */
	fleet_latch(&fleet);
	fleet_ask(&fleet, ASK_SIGNED, QUESTIONS);
	wrong = fleet_wrong(&fleet) - on_the_way;
	printf("agents\t%zu\npolls\t%lu\npolls at least\t%u\n"
	       "wrong answers on the way\t%u\nwrong answers at the end\t%u\n",
	       fleet.n, all, fewest, on_the_way, wrong);
	if (wrong)
		fprintf(stderr, "soak_fleet: %s\n", fleet.host.why);
	fleet_close(&fleet);
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
