/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - what the files of the command doctor share: findings, and where
 * they come from.
 */
#ifndef MSPD_CTL_DOCTOR_H
#define MSPD_CTL_DOCTOR_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "mspd/config.h"
#include "mspd/ctl/ctl.h"
#include "mspd/ctl/json.h"
#include "mspd/ctl/remedy.h"

/** "azure-proxy-agent", as much of a name as the kernel keeps. */
#define CTL_GPA_COMM "azure-proxy-age"

enum ctl_health {
	CTL_WELL,
	CTL_DOUBT, /* may be fine, or cannot be told */
	CTL_ILL
};

/**
 * struct ctl_finding - one line
 * @health: its first word
 * @name:   of the check
 * @seen:   owned; of any origin
 * @remedy: owned; NULL: none
 */
struct ctl_finding {
	enum ctl_health health;
	const char *name;
	char *seen;
	char *remedy;
};

/**
 * struct ctl_doctor - one examination
 * @root:     in front of each path; "": this machine
 * @live:     it is this machine: the kernel may be asked, and connections made
 * @path:     of the configuration
 * @beside:   room for it
 * @config:   the agent's, or its defaults
 * @told:     the control socket's answer, or NULL
 * @agent:    process that is the agent, 0: not known
 * @listener: where that listens, as far as is known
 * @mount:    of cgroup v2; "": none
 * @host_date: what the host's clock said, Unix time; 0: not known
 * @host_date_at: what ours said then
 * @at, @n:   findings
 */
struct ctl_doctor {
	const char *root;
	bool live;
	const char *path;
	char beside[PATH_MAX];
	struct mspd_config config;
	yajl_val told;
	uint32_t agent;
	struct msp_address listener;
	char mount[256];
	int64_t host_date;
	int64_t host_date_at;
	struct ctl_finding *at;
	size_t n;
	size_t room;
};

/* ---- one examination (doctor.c) ----------------------------------------- */

/* @root: NULL: this machine. */
void ctl_doctor_run(struct ctl_doctor *d, const char *config, const char *root);
void ctl_doctor_put(struct ctl_text *out, const struct ctl_doctor *d,
		    bool json);
bool ctl_doctor_failed(const struct ctl_doctor *d);
void ctl_doctor_free(struct ctl_doctor *d);

/* ---- findings (doctor.c) ------------------------------------------------ */

/* @remedy: NULL: none. */
void ctl_find(struct ctl_doctor *d, enum ctl_health health, const char *name,
	      const char *remedy, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* What helps against a failure that is told of, as far as the machine still is
 * as it was then. */
const char *ctl_doctor_remedy(const struct ctl_doctor *d, const char *text);

/* ---- where from (doctor_look.c) ----------------------------------------- */

/** Of a file that is looked at, in bytes. */
#define CTL_PEEK_MAX ((size_t)256 * 1024)

/* open(2) of what is there; links lead to what is below the root. -1: errno
 * says why. */
int ctl_open(const struct ctl_doctor *d, const char *path, int flags);
/* NULL: errno says why. */
DIR *ctl_open_folder(const struct ctl_doctor *d, const char *path);
/* NULL: it is no file, or cannot be read. */
FILE *ctl_open_file(const struct ctl_doctor *d, const char *path);
/* Of a link itself. 0 or -errno. */
int ctl_stat(const struct ctl_doctor *d, const char *path, struct stat *out);
/* So much of a file as there is, at most CTL_PEEK_MAX; says nothing. 0 or
 * -errno. */
int ctl_peek(const struct ctl_doctor *d, struct ctl_text *out,
	     const char *path);
bool ctl_there(const struct ctl_doctor *d, const char *path);
/* Is the agent in another network namespace than this program? */
bool ctl_other_network(const struct ctl_doctor *d);
/* Directory of the cgroup v2 that this program is in. */
void ctl_own_cgroup(const struct ctl_doctor *d, char out[PATH_MAX]);
/* Of the status of all endpoints, that of one of them; NULL: unknown. */
yajl_val ctl_told_endpoint(const struct ctl_doctor *d,
			   enum msp_endpoint endpoint);
/* Value behind NAME: in a file of lines, as of /proc; false: there is none. */
bool ctl_line_of(const char *text, const char *name, char *out, size_t size);

/* ---- checks -------------------------------------------------------------- */

/* (doctor_kernel.c) */
void ctl_check_features(struct ctl_doctor *d);
void ctl_check_cgroup(struct ctl_doctor *d);
void ctl_check_btf(struct ctl_doctor *d);
void ctl_check_capabilities(struct ctl_doctor *d);
void ctl_check_lockdown(struct ctl_doctor *d);

/* (doctor_agent.c) */
void ctl_check_config(struct ctl_doctor *d, bool named);
void ctl_check_agent(struct ctl_doctor *d);
/* Path of the control socket; owned. */
char *ctl_doctor_socket(const struct ctl_doctor *d);
void ctl_check_listener(struct ctl_doctor *d);

/* (doctor_hooks.c) */
void ctl_check_hooks(struct ctl_doctor *d);
/* Finds hooks that are not the agent's; false: none. */
bool ctl_find_links(struct ctl_doctor *d);

/* (doctor_probe.c) */
void ctl_check_probes(struct ctl_doctor *d);

/* (doctor_state.c) */
void ctl_check_status(struct ctl_doctor *d);
void ctl_check_protection(struct ctl_doctor *d);
void ctl_check_host(struct ctl_doctor *d);
void ctl_check_clock(struct ctl_doctor *d);
void ctl_check_rules(struct ctl_doctor *d);
void ctl_check_trail(struct ctl_doctor *d);

/* (doctor_files.c) */
void ctl_check_keys(struct ctl_doctor *d);
void ctl_check_modes(struct ctl_doctor *d);
void ctl_check_disk(struct ctl_doctor *d);

/* (doctor_machine.c) */
void ctl_check_others(struct ctl_doctor *d);
void ctl_check_cloud_init(struct ctl_doctor *d);
void ctl_check_provisioning(struct ctl_doctor *d);
void ctl_check_service(struct ctl_doctor *d);

#endif
