/* SPDX-License-Identifier: MIT */
/*
 * In:  a VM and its goal state.
 * Out: the XML documents the goal state points to.
 * Never: a secret: every process of the guest may be let read them.
 */
#include "data/wireserver.h"

#define VERSION "1.0.0.0"

static void add_deployment(struct buf *out, const struct goal *goal)
{
	buf_format(out,
		   "  <Deployment name=\"%s\" guid=\"{%s}\" incarnation=\"0\""
		   " isNonCancellableTopologyChangeEnabled=\"false\">\n"
		   "    <Service name=\"msp-host\" guid=\"{%s}\" />\n"
		   "    <ServiceInstance name=\"%s.0\" guid=\"{%s}\" />\n"
		   "  </Deployment>\n",
		   goal->deployment, goal->deployment, goal->service,
		   goal->deployment, goal->service);
}

static void add_incarnation(struct buf *out, const struct vm *vm,
			    const struct goal *goal)
{
	buf_text(out, "  <Incarnation number=\"1\" instance=\"");
	goal_xml(out, vm->who.name);
	buf_format(out, "\" guid=\"{%s}\" />\n", goal->container);
}

static void add_role(struct buf *out, const struct vm *vm,
		     const struct goal *goal, const char *more)
{
	buf_format(out, "  <Role guid=\"{%s}\" name=\"", goal->role);
	goal_xml(out, vm->who.name);
	buf_format(out, "\"%s settleTimeSeconds=\"0\" />\n", more);
}

/* Spec 9.2 takes the tenant's name, the role's, and the first instance. */
void config_shared(const struct vm *vm, const struct goal *goal,
		   const char *address, struct buf *out)
{
	buf_format(out,
		   XML_HEAD "<SharedConfig version=\"" VERSION
			    "\" goalStateIncarnation=\"%llu\">\n",
		   (unsigned long long)goal->incarnation);
	add_deployment(out, goal);
	add_incarnation(out, vm, goal);
	add_role(out, vm, goal, "");
	buf_text(out, "  <LoadBalancerSettings timeoutSeconds=\"0\""
		      " waitLoadBalancerProbeCount=\"8\">\n"
		      "    <Probes />\n"
		      "  </LoadBalancerSettings>\n"
		      "  <OutputEndpoints />\n"
		      "  <Instances>\n"
		      "    <Instance id=\"");
	goal_xml(out, goal->instance.data);
	buf_format(out,
		   "\" address=\"%s\">\n"
		   "      <FaultDomains randomId=\"0\" updateId=\"0\""
		   " updateCount=\"0\" />\n"
		   "      <InputEndpoints />\n"
		   "    </Instance>\n"
		   "  </Instances>\n"
		   "</SharedConfig>\n",
		   address);
}

void config_environment(const struct vm *vm, const struct goal *goal,
			struct buf *out)
{
	buf_format(out,
		   XML_HEAD "<HostingEnvironmentConfig version=\"" VERSION
			    "\" goalStateIncarnation=\"%llu\">\n"
			    "  <StoredCertificates />\n",
		   (unsigned long long)goal->incarnation);
	add_deployment(out, goal);
	add_incarnation(out, vm, goal);
	add_role(out, vm, goal,
		 " hostingEnvironmentVersion=\"1\" software=\"\""
		 " softwareType=\"ApplicationPackage\" entryPoint=\"\""
		 " parameters=\"\"");
	buf_text(out, "  <HostingEnvironmentSettings name=\"full\""
		      " Runtime=\"\">\n"
		      "    <CAS mode=\"full\" />\n"
		      "    <PrivilegeLevel mode=\"max\" />\n"
		      "    <AdditionalProperties>"
		      "<CgiHandlers></CgiHandlers>"
		      "</AdditionalProperties>\n"
		      "  </HostingEnvironmentSettings>\n"
		      "  <ApplicationSettings />\n"
		      "  <ResourceReferences />\n"
		      "</HostingEnvironmentConfig>\n");
}

/* Where its package is stays empty: nothing can be downloaded here. */
static void add_extension(struct buf *out)
{
	buf_text(out,
		 "  <Plugins>\n"
		 "    <Plugin name=\"" GOAL_EXTENSION
		 "\" version=\"1.0.0\" location=\"\" state=\"enabled\""
		 " autoUpgrade=\"true\" runAsStartupTask=\"false\""
		 " isJson=\"true\" />\n"
		 "  </Plugins>\n"
		 "  <PluginSettings>\n"
		 "    <Plugin name=\"" GOAL_EXTENSION "\" version=\"1.0.0\">\n"
		 "      <RuntimeSettings seqNo=\"0\">"
		 "{\"runtimeSettings\":[{\"handlerSettings\":"
		 "{\"publicSettings\":{}}}]}"
		 "</RuntimeSettings>\n"
		 "    </Plugin>\n"
		 "  </PluginSettings>\n");
}

void config_extensions(const struct vm *vm, const struct goal *goal,
		       struct buf *out)
{
	buf_format(out,
		   XML_HEAD "<Extensions version=\"" VERSION
			    "\" goalStateIncarnation=\"%llu\">\n"
			    "  <GuestAgentExtension xmlns:i=\"http://www.w3."
			    "org/2001/XMLSchema-instance\">\n"
			    "    <GAFamilies />\n"
			    "    <Location>",
		   (unsigned long long)goal->incarnation);
	goal_xml(out, vm->who.location);
	buf_text(out, "</Location>\n"
		      "  </GuestAgentExtension>\n");
	if (vm->extension)
		add_extension(out);
	buf_text(out, "</Extensions>\n");
}
