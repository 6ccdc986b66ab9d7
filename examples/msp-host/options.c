/* SPDX-License-Identifier: MIT */
/*
 * In:  the command line.
 * Out: addresses and files, and a VM set up as asked.
 * Never: guesses: an option that is not understood ends the program.
 */
#include "options.h"

#include "fault/fault.h"
#include "vm/vms.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"Usage: msp-host [OPTION]...\n"
	"       msp-host report [OPTION]...\n"
	"Emulates the Azure host side of the Metadata Security Protocol.\n"
	"\n"
	"  --wireserver IP:PORT   default 168.63.129.16:80\n"
	"  --hostga IP:PORT       default 168.63.129.16:32526\n"
	"  --imds IP:PORT         default 169.254.169.254:80\n"
	"  --control IP:PORT      control port, off unless given\n"
	"  --profile ENDPOINT=FILE\n"
	"                         rule item (JSON, wire form) of imds or\n"
	"                         wireserver; HostGAPlugin follows wireserver\n"
	"  --mode ENDPOINT=MODE   Enforce, Audit or Disabled; without a "
	"profile\n"
	"                         an item that allows everything; default\n"
	"                         wireserver=Enforce imds=Disabled\n"
	"  --disabled             the secure channel is off\n"
	"  --no-key               no key is offered\n"
	"  --offer-seconds N      a key not attested after so long is void,\n"
	"                         default 300\n"
	"  --status-version V     1.0 or 2.0 (default)\n"
	"  --skew SECONDS         how far off the date of a signed request "
	"may\n"
	"                         be, default 300, 0: any\n"
	"  --vm NAME=NETWORK      one more VM, set up as the options before "
	"it\n"
	"                         say; its requests come from there, e.g.\n"
	"                         10.0.0.4 or 10.0.0.0/24\n"
	"  --fleet NETWORK        each address in it is a VM of its own\n"
	"  --imds-rate N          IMDS requests per second of a VM, more get "
	"429;\n"
	"                         default 0: any\n"
	"  --seed TEXT            keys, guids and tokens repeat; for tests\n"
	"  --state FILE           keep VMs and keys for the next start\n"
	"  --log FILE             append request lines there, not to stdout\n"
	"  --journal FILE         append a JSON object per request\n"
	"  --record FILE          append every byte received, as JSON lines\n"
	"  --fault NAME[,FIELD=VALUE]...\n"
	"                         misbehave; msp-host(8) has the names\n"
	"  --ready-fd N           write \"ready\" there once listening\n"
	"  --help, --version\n"
	"\n"
	"A port 0 takes a free one. Addresses and \"msp-host: ready\" are\n"
	"printed on stdout. SIGTERM ends it.\n";

enum opt {
	OPT_WIRESERVER = 256,
	OPT_HOSTGA,
	OPT_IMDS,
	OPT_CONTROL,
	OPT_PROFILE,
	OPT_MODE,
	OPT_DISABLED,
	OPT_NO_KEY,
	OPT_STATUS_VERSION,
	OPT_SKEW,
	OPT_OFFER_SECONDS,
	OPT_VM,
	OPT_FLEET,
	OPT_IMDS_RATE,
	OPT_SEED,
	OPT_STATE,
	OPT_LOG,
	OPT_RECORD,
	OPT_JOURNAL,
	OPT_FAULT,
	OPT_READY_FD,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{ "wireserver", required_argument, NULL, OPT_WIRESERVER },
	{ "hostga", required_argument, NULL, OPT_HOSTGA },
	{ "imds", required_argument, NULL, OPT_IMDS },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "profile", required_argument, NULL, OPT_PROFILE },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "disabled", no_argument, NULL, OPT_DISABLED },
	{ "no-key", no_argument, NULL, OPT_NO_KEY },
	{ "status-version", required_argument, NULL, OPT_STATUS_VERSION },
	{ "skew", required_argument, NULL, OPT_SKEW },
	{ "offer-seconds", required_argument, NULL, OPT_OFFER_SECONDS },
	{ "vm", required_argument, NULL, OPT_VM },
	{ "fleet", required_argument, NULL, OPT_FLEET },
	{ "imds-rate", required_argument, NULL, OPT_IMDS_RATE },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "journal", required_argument, NULL, OPT_JOURNAL },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

#define NETWORK_WANTED "want an IPv4 address or network, e.g. 10.0.0.0/24"
#define NAME_WANTED    "a name is 1 to 64 letters, digits, '.', '-' or '_'"

static bool complain(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "msp-host: --%s '%s': %s\n", option, value, why);
	return false;
}

bool options_address(struct sockaddr_in *out, const char *option,
		     const char *text)
{
	const char *colon = strrchr(text, ':');
	char ip[INET_ADDRSTRLEN];
	uint64_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(ip) ||
	    !text_uint(colon + 1, strlen(colon + 1), &port) ||
	    port > UINT16_MAX)
		return complain(option, text, "want IP:PORT");
	memcpy(ip, text, (size_t)(colon - text));
	ip[colon - text] = '\0';
	if (inet_pton(AF_INET, ip, &out->sin_addr) != 1)
		return complain(option, text, "not an IPv4 address");
	out->sin_family = AF_INET;
	out->sin_port = htons((uint16_t)port);
	return true;
}

static bool parse_u32(uint32_t *out, const char *option, const char *text)
{
	uint64_t n;

	if (!text_uint(text, strlen(text), &n) || n > INT32_MAX)
		return complain(option, text, "not a number");
	*out = (uint32_t)n;
	return true;
}

/* "imds=..." -> which item, and what follows the sign */
static const char *parse_item(enum item *out, const char *option,
			      const char *text)
{
	const char *eq = strchr(text, '=');

	if (eq && vm_item_named(text, (size_t)(eq - text), out))
		return eq + 1;
	complain(option, text, "want imds=... or wireserver=...");
	return NULL;
}

static bool load_profile(struct vm *vm, const char *text)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct buf file = { 0 };
	const char *path;
	enum item item;
	bool ok = false;

	path = parse_item(&item, "profile", text);
	if (!path)
		return false;
	if (!buf_read_file(&file, path, MSP_PROFILE_MAX_BYTES))
		complain("profile", path, strerror(errno));
	else if (!file.len)
		complain("profile", path, "empty file");
	else if (vm_set_item(vm, item, file.data, file.len, NULL, &info) < 0)
		fprintf(stderr, "msp-host: %s:%u:%u: %s: %s\n", path, info.line,
			info.column, info.pointer, info.text);
	else
		ok = true;
	buf_clear(&file);
	return ok;
}

static bool set_mode(struct vm *vm, const char *text)
{
	enum msp_mode mode;
	const char *word;
	enum item item;

	word = parse_item(&item, "mode", text);
	if (!word)
		return false;
	if (!vm_mode_named(word, strlen(word), &mode))
		return complain("mode", text,
				"want Enforce, Audit or Disabled");
	return vm_set_mode(vm, item, mode);
}

static bool set_version(struct vm *vm, const char *text)
{
	vm->status_v1 = !strcmp(text, "1.0");
	if (vm->status_v1 || !strcmp(text, "2.0"))
		return true;
	return complain("status-version", text, "want 1.0 or 2.0");
}

static bool set_ready_fd(struct options *options, const char *text)
{
	uint32_t fd;

	if (!parse_u32(&fd, "ready-fd", text))
		return false;
	options->ready_fd = (int)fd;
	return true;
}

static bool set_offer_seconds(struct vm *vm, const char *text)
{
	if (!parse_u32(&vm->offer_s, "offer-seconds", text))
		return false;
	return vm->offer_s || complain("offer-seconds", text, "want 1 or more");
}

static bool add_vm(struct vms *vms, const char *text)
{
	const char *eq = strchr(text, '=');
	struct network network;
	struct buf name = { 0 };
	struct vm *vm = NULL;
	const char *why = NULL;

	if (!eq)
		return complain("vm", text, "want NAME=NETWORK");
	buf_add(&name, text, (size_t)(eq - text));
	if (name.failed)
		why = "out of memory";
	else if (!network_parse(&network, eq + 1))
		why = NETWORK_WANTED;
	else if (!vms_name_valid(name.data))
		why = NAME_WANTED;
	else
		vm = vms_named(vms, name.data, name.len);
	/* once more: one more network */
	if (!why && !vm)
		vm = vms_clone(vms, name.data);
	if (!why && (!vm || !vms_give(vms, eq + 1, vm)))
		why = "no room for it";
	buf_clear(&name);
	return why ? complain("vm", text, why) : true;
}

static bool add_fleet(struct vms *vms, const char *text)
{
	struct network network;

	if (!network_parse(&network, text))
		return complain("fleet", text, NETWORK_WANTED);
	return vms_give(vms, text, NULL) ||
	       complain("fleet", text, "no room for it");
}

static bool add_fault(struct faults *faults, const char *text)
{
	struct buf why = { 0 };
	bool ok = faults_add_text(faults, text, &why);

	if (!ok)
		complain("fault", text, why.data ? why.data : "out of memory");
	buf_clear(&why);
	return ok;
}

static bool set_seed(struct emulator *emu, const char *text)
{
	return random_seed(&emu->random, text) &&
	       random_seed(&emu->names, text) && vms_renew(emu->vms);
}

static bool apply_to_vm(struct vm *vm, int opt, const char *arg)
{
	switch (opt) {
	case OPT_PROFILE:
		return load_profile(vm, arg);
	case OPT_MODE:
		return set_mode(vm, arg);
	case OPT_DISABLED:
		vm->enabled = false;
		return true;
	case OPT_NO_KEY:
		vm->offers_key = false;
		return true;
	case OPT_OFFER_SECONDS:
		return set_offer_seconds(vm, arg);
	case OPT_STATUS_VERSION:
		return set_version(vm, arg);
	case OPT_SKEW:
		return parse_u32(&vm->skew, "skew", arg);
	default: /* getopt_long() has said what is wrong */
		return false;
	}
}

static bool apply_to_host(struct emulator *emu, int opt, const char *arg)
{
	switch (opt) {
	case OPT_VM:
		return add_vm(emu->vms, arg);
	case OPT_FLEET:
		return add_fleet(emu->vms, arg);
	case OPT_FAULT:
		return add_fault(emu->faults, arg);
	case OPT_IMDS_RATE:
		return parse_u32(&emu->imds_rate, "imds-rate", arg);
	case OPT_SEED:
		return set_seed(emu, arg);
	default:
		return apply_to_vm(emu->vms->first, opt, arg);
	}
}

static bool apply(struct options *o, struct emulator *emu, int opt,
		  const char *arg)
{
	switch (opt) {
	case OPT_WIRESERVER:
		return options_address(&o->address[PORT_WIRESERVER],
				       "wireserver", arg);
	case OPT_HOSTGA:
		return options_address(&o->address[PORT_HOSTGA], "hostga", arg);
	case OPT_IMDS:
		return options_address(&o->address[PORT_IMDS], "imds", arg);
	case OPT_CONTROL:
		o->control = true;
		return options_address(&o->address[PORT_CONTROL], "control",
				       arg);
	case OPT_LOG:
		o->log = arg;
		return true;
	case OPT_RECORD:
		o->record = arg;
		return true;
	case OPT_JOURNAL:
		o->journal = arg;
		return true;
	case OPT_STATE:
		o->state = arg;
		return true;
	case OPT_READY_FD:
		return set_ready_fd(o, arg);
	default:
		return apply_to_host(emu, opt, arg);
	}
}

bool options_endpoint(struct sockaddr_in *out, enum msp_endpoint endpoint)
{
	struct msp_address address;

	if (msp_endpoint_address(&address, endpoint) < 0)
		return false;
	memset(out, 0, sizeof(*out));
	out->sin_family = AF_INET;
	out->sin_addr.s_addr = address.ip;
	out->sin_port = htons(address.port);
	return true;
}

static bool set_defaults(struct options *options)
{
	unsigned int i;

	memset(options, 0, sizeof(*options));
	options->ready_fd = -1;
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (!options_endpoint(&options->address[i],
				      (enum msp_endpoint)i))
			return false;
	}
	return true;
}

enum options_result options_parse(struct options *options, struct emulator *emu,
				  int argc, char **argv)
{
	int opt;

	if (!set_defaults(options))
		return OPTIONS_BAD;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			fputs(help, stdout);
			return OPTIONS_DONE;
		}
		if (opt == OPT_VERSION) {
			printf("msp-host %s\n", msp_version());
			return OPTIONS_DONE;
		}
		if (!apply(options, emu, opt, optarg))
			return OPTIONS_BAD;
	}
	if (optind < argc) {
		fprintf(stderr, "msp-host: unexpected '%s'\n", argv[optind]);
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}
