/* SPDX-License-Identifier: MIT */
/*
 * In: texts of failures: of the agent, of its status, of Azure's resource
 * manager, of cloud-init. Out: what helps. Must never guess: what is not in the
 * table is not known.
 */
#include "mspd/ctl/remedy.h"

#include <stdlib.h>
#include <string.h>

#define UNIT "azure-proxy-agent.service (or mspd.service)"
#define NEW_KEY                                                                \
	"reset the key: PUT the VM model with a higher keyIncarnationId in "   \
	"proxyAgentSettings; it must only grow; the agent recovers by itself"

const char ctl_remedy_image[] =
	"opt out of MSP, upgrade the OS image to the latest version, then "
	"enable MSP";
const char ctl_remedy_mount[] =
	"sudo grubby --update-kernel=ALL "
	"--args=\"systemd.unified_cgroup_hierarchy=1\", then restart the VM";
const char ctl_remedy_key[] = NEW_KEY;
const char ctl_remedy_start[] =
	"systemctl status, then systemctl enable --now " UNIT;
const char ctl_remedy_restart[] = "systemctl restart " UNIT;
const char ctl_remedy_install[] =
	"install the agent in the image (azure-proxy-agent-compat), or add the "
	"VM extension, before MSP is enabled";
const char ctl_remedy_cloud_init[] =
	"use an image whose cloud-init is 24.3 or newer: it waits for the "
	"agent";
const char ctl_remedy_network[] =
	"let the VM reach 168.63.129.16 (TCP 80, 32526) and 169.254.169.254 "
	"(TCP 80): routes, firewall, proxies";
const char ctl_remedy_root[] = "run mspctl doctor as root";

#define KEY_FOLDER                                                             \
	"give the key folder to root, with mode 0700, in directories of "      \
	"root's"
#define FIX "fix the parameter"
/* Azure's documentation has both words; the parameter takes the first. */
#define MODES                                                                  \
	"provide a valid value: Audit, Enforce (Enable in some texts) or "     \
	"Disabled"
#define PROFILE                                                                \
	"check that the profile exists and is replicated in the "              \
	"regions of the VM"

/* What names a cause more exactly comes before what does not. Without quotes.
 */
static const struct ctl_failure known[] = {
	/* the redirector */
	{ "cgroup v2 is not mounted", "there is no cgroup v2 to attach to",
	  ctl_remedy_mount },
	{ "there is no cgroup v2 file system",
	  "there is no cgroup v2 to attach to", ctl_remedy_mount },
	{ "of the cgroup v2 hierarchy is mounted",
	  "not all of cgroup v2 can be seen", ctl_remedy_mount },
	{ "Failed to attach program",
	  "the eBPF programs cannot be attached to cgroup v2",
	  ctl_remedy_mount },
	{ "bpf_link_create",
	  "the eBPF programs cannot be attached to cgroup v2",
	  ctl_remedy_mount },
	{ "Failed to open cgroup", "there is no cgroup v2 to attach to",
	  ctl_remedy_mount },
	{ "Failed to load program", "the kernel refuses the eBPF programs",
	  ctl_remedy_image },
	{ "Loading eBPF API", "the kernel refuses the eBPF programs",
	  ctl_remedy_image },
	{ "this kernel is too old", "the kernel lacks what is needed",
	  ctl_remedy_image },
	{ "built without BTF", "the kernel does not tell its types",
	  ctl_remedy_image },
	/* the listener */
	{ "Failed to bind TcpListener", "the listener's port is taken",
	  "end what has the port, or set listenAddress; then restart the "
	  "agent" },
	/* the key */
	{ "Failed to acquire key", "the host offers no key", NEW_KEY },
	{ "Failed to attest the key", "the host rejects the key", NEW_KEY },
	{ "Failed to acquire", "the host offers no key", NEW_KEY },
	{ "Failed to attest", "the host rejects the key", NEW_KEY },
	{ "Local key guid or key value is not matched",
	  "the key on the disk is not the host's", NEW_KEY },
	{ "Failed to save key", "the key cannot be written",
	  "make room on the disk of the key folder, and let root write to it" },
	{ "is in use by another agent", "another agent has the key folder",
	  "end the other agent: one of the two has to go" },
	{ "Failed to lock the key folder", "the key folder cannot be used",
	  KEY_FOLDER },
	{ "Failed to open the key folder", "the key cannot be read or written",
	  KEY_FOLDER },
	{ "Failed to fetch local key details",
	  "the key on the disk cannot be read", NEW_KEY },
	{ "details saved locally", "the disk does not keep what is written",
	  "check the disk of the key folder, and its file system" },
	/* the host */
	{ "Failed to get key status", "the host cannot be asked",
	  ctl_remedy_network },
	{ "Failed to get response from", "the host cannot be asked",
	  ctl_remedy_network },
	/* provisioning */
	{ "azure-proxy-agent not found", "cloud-init found no agent",
	  ctl_remedy_install },
	{ "azure-proxy-agent is not found", "cloud-init found no agent",
	  ctl_remedy_install },
	{ "azure-proxy-agent status failure",
	  "cloud-init found the agent unhealthy: eBPF, cgroup v2, its start, "
	  "or "
	  "its key",
	  "mspctl doctor in the VM names which" },
	{ "OSProvisioningInternalError",
	  "the VM was reported ready before the agent had a key",
	  "use an image with the agent in it and cloud-init 24.3 or newer" },
	/* of Azure's resource manager */
	{ "ProxyAgentNotSupportedInRegion", "the region has no MSP",
	  "choose a supported region" },
	{ "SubscriptionNotEnabledForProxyAgentFeature",
	  "the subscription has no MSP", "register the feature flag" },
	{ "be used together with property",
	  "an endpoint has both a profile and a mode", FIX },
	{ "keyIncarnationId can only be incremented",
	  "keyIncarnationId was lowered", FIX },
	{ "proxyAgentSettings.wireServer.mode is invalid",
	  "the mode of an endpoint is unknown", MODES },
	{ "proxyAgentSettings.imds.mode is invalid",
	  "the mode of an endpoint is unknown", MODES },
	{ "a valid gallery inVMAccessControlProfile reference",
	  "the reference to a profile is malformed", FIX " value" },
	{ "GalleryInVMAccessControlProfileNotMatchOSDisk",
	  "the profile is of another OS", FIX " value" },
	{ "GalleryInVMAccessControlProfileNotMatchHostEndpointType",
	  "the profile is of another endpoint", FIX " value" },
	{ "Failed to prepare the InVMAccessControlProfile",
	  "the profile is of no use", "create a new profile and start over" },
	{ "InVMAccessControlProfileNotFound", "there is no such profile",
	  PROFILE },
};

/* Documentation, shells and people put quotes around different words. */
static char *without_quotes(const char *text)
{
	char *copy = ctl_copy(text, strlen(text));
	char *to = copy;

	for (; *text; text++)
		if (!strchr("`'\"", *text))
			*to++ = *text;
	*to = '\0';
	return copy;
}

const struct ctl_failure *ctl_failure_find(const char *text)
{
	char *plain = without_quotes(text);
	const struct ctl_failure *found = NULL;
	size_t i;

	for (i = 0; !found && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasestr(plain, known[i].part))
			found = &known[i];
	free(plain);
	return found;
}
