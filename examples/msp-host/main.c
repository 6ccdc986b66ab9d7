/* SPDX-License-Identifier: MIT */
/*
 * In:  options and signals.
 * Out: an emulated host that listens until SIGTERM or SIGINT, then exit 0.
 * Never: starts a thread: everything below happens in this loop.
 */
#include "arm/arm.h"
#include "data/authority.h"
#include "emulator.h"
#include "fault/fault.h"
#include "net/http.h"
#include "net/wire.h"
#include "options.h"
#include "report/report.h"
#include "vm/journal.h"
#include "vm/state.h"
#include "vm/vms.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/**
 * struct stopper - a signal ends the loop
 * @watch: of the signalfd, which it owns
 * @loop:  borrowed
 */
struct stopper {
	struct loop_watch watch;
	struct loop *loop;
};

static void signalled(struct loop_watch *watch, uint32_t events)
{
	struct stopper *s = container_of(watch, struct stopper, watch);

	(void)events;
	s->loop->stop = true;
}

static int catch_signals(struct stopper *s, struct loop *loop)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	s->loop = loop;
	s->watch.ready = signalled;
	s->watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->watch.fd < 0)
		return -1;
	return loop_want(loop, &s->watch, EPOLLIN);
}

/* A connection takes three descriptors. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static bool open_file(FILE **out, const char *path, mode_t mask)
{
	mode_t old;

	if (!path)
		return true;
	old = umask(mask);
	*out = fopen(path, "ae");
	umask(old);
	if (!*out)
		fprintf(stderr, "msp-host: %s: %s\n", path, strerror(errno));
	return *out;
}

static bool open_files(struct emulator *emu, const struct options *options)
{
	emu->log = stdout;
	/* tokens and signatures are among the raw bytes */
	return open_file(&emu->log, options->log, 022) &&
	       open_file(&emu->record, options->record, 077) &&
	       open_file(&emu->diary, options->journal, 077);
}

static bool listen_all(struct emulator *emu, struct options *options)
{
	unsigned int i;

	for (i = 0; i < PORTS; i++) {
		struct sockaddr_in *address = &options->address[i];
		char ip[INET_ADDRSTRLEN] = "?";
		int rc;

		if (i == PORT_CONTROL && !options->control)
			continue;
		inet_ntop(AF_INET, &address->sin_addr, ip, sizeof(ip));
		rc = wire_listen(emu->wire, (enum port)i, address);
		if (rc < 0) {
			fprintf(stderr, "msp-host: %s %s:%u: %s\n",
				port_name((enum port)i), ip,
				ntohs(address->sin_port), strerror(errno));
			return false;
		}
		printf("msp-host: %s %s:%u\n", port_name((enum port)i), ip,
		       ntohs(address->sin_port));
		if (i == PORT_WIRESERVER)
			snprintf(emu->wireserver, sizeof(emu->wireserver),
				 "%s:%u", ip, ntohs(address->sin_port));
	}
	return true;
}

static void say_ready(const struct options *options)
{
	static const char word[] = "ready\n";

	puts("msp-host: ready");
	fflush(stdout);
	if (options->ready_fd < 0)
		return;
	if (write(options->ready_fd, word, sizeof(word) - 1) < 0)
		perror("msp-host: --ready-fd");
	close(options->ready_fd);
}

/* The sooner of two limits, -1 being none. */
static int sooner(int a, int b)
{
	if (a < 0)
		return b;
	return b < 0 || a < b ? a : b;
}

static bool run(struct emulator *emu)
{
	while (!emu->loop.stop) {
		int ms = sooner(http_timeout(emu->http),
				wire_timeout(emu->wire));

		if (loop_turn(&emu->loop, ms) < 0) {
			perror("msp-host: epoll_wait");
			return false;
		}
		http_run(emu->http);
		wire_sweep(emu->wire);
	}
	return true;
}

static bool serve(struct emulator *emu, struct options *options)
{
	struct stopper stopper = { .watch = { .fd = -1 } };
	bool ok = false;

	raise_limit();
	if (loop_open(&emu->loop) < 0 ||
	    catch_signals(&stopper, &emu->loop) < 0) {
		perror("msp-host");
		goto out;
	}
	emu->http = http_open(emu);
	emu->wire = wire_open(emu);
	if (!emu->http || !emu->wire) {
		fputs("msp-host: the HTTP server cannot start\n", stderr);
		goto out;
	}
	emu->state_file = options->state;
	if (!open_files(emu, options))
		goto out;
	emu->journal = journal_new(emu->diary);
	if (!emu->journal) {
		fputs("msp-host: out of memory\n", stderr);
		goto out;
	}
	if (!state_load(emu) || !listen_all(emu, options))
		goto out;
	say_ready(options);
	ok = run(emu);
out:
	wire_close(emu->wire);
	http_close(emu->http);
	if (stopper.watch.fd >= 0)
		close(stopper.watch.fd);
	loop_close(&emu->loop);
	return ok;
}

static bool emulator_init(struct emulator *emu)
{
	emu->vms = random_any(&emu->names) ? vms_new(&emu->random, &emu->names)
					   : NULL;
	emu->arm = arm_new();
	emu->faults = faults_new();
	return emu->vms && emu->arm && emu->faults;
}

static void emulator_clear(struct emulator *emu)
{
	journal_free(emu->journal);
	faults_free(emu->faults);
	arm_free(emu->arm);
	authority_free(emu->authority);
	vms_free(emu->vms);
	OPENSSL_cleanse(&emu->names, sizeof(emu->names));
	OPENSSL_cleanse(&emu->random, sizeof(emu->random));
	if (emu->diary)
		fclose(emu->diary);
	if (emu->record)
		fclose(emu->record);
	if (emu->log && emu->log != stdout)
		fclose(emu->log);
}

int main(int argc, char **argv)
{
	struct emulator emu = { .loop = { .epoll = -1 } };
	struct options options;
	int status = EXIT_FAILURE;

	if (argc > 1 && !strcmp(argv[1], "report"))
		return report_main(argc - 1, argv + 1);
	if (!emulator_init(&emu)) {
		fputs("msp-host: out of memory\n", stderr);
		return status;
	}
	switch (options_parse(&options, &emu, argc, argv)) {
	case OPTIONS_RUN:
		if (serve(&emu, &options))
			status = EXIT_SUCCESS;
		break;
	case OPTIONS_DONE:
		status = EXIT_SUCCESS;
		break;
	case OPTIONS_BAD:
		fputs("msp-host: see --help\n", stderr);
		break;
	}
	emulator_clear(&emu);
	return status;
}
