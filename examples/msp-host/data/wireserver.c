/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on WireServer's address.
 * Out: goal state and what it points to, versions; bodies into the void.
 * Never: decides about keys or signatures.
 */
#include "data/wireserver.h"

#include "data/names.h"
#include "emulator.h"
#include "net/route.h"

#include <arpa/inet.h>
#include <string.h>

#define MACHINE "/machine/"

/* newest first */
static const char *const protocols[] = {
	"2015-04-05", "2012-11-30", "2012-09-15", "2012-05-15", "2011-12-31",
	"2011-10-15", "2011-08-31", "2011-04-07", "2010-12-15", "2010-28-10",
};
#define N_PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

void wireserver_error(struct call *call, unsigned int status, const char *code,
		      const char *text)
{
	struct buf *body = &call->reply.body;

	call->reply.status = status;
	call->reply.type = XML_TYPE;
	buf_clear(body);
	buf_text(body, XML_HEAD "<Error>\n  <Code>");
	goal_xml(body, code);
	buf_text(body, "</Code>\n  <Message>");
	goal_xml(body, text);
	buf_text(body, "</Message>\n  <Details></Details>\n</Error>\n");
}

/* Said in every request that asks for a document. */
static bool speaks_protocol(struct call *call)
{
	const struct msp_header *h;
	size_t i;

	if (!call_header(call, "x-ms-version", &h)) {
		wireserver_error(call, 400, "MissingRequiredHeader",
				 "The header x-ms-version is required.");
		return false;
	}
	for (i = 0; i < N_PROTOCOLS; i++) {
		if (text_equal(h->value, h->value_len, protocols[i]))
			return true;
	}
	wireserver_error(call, 400, "InvalidHeader",
			 "The value of x-ms-version is none of the supported "
			 "versions.");
	return false;
}

static void out_of_memory(struct call *call)
{
	wireserver_error(call, 500, "InternalServerError", "out of memory");
}

/* One address a guest goes to next. */
static void add_address(struct buf *out, const char *host,
			const struct goal *goal, const char *element,
			const char *query)
{
	buf_format(out, "          <%s>http://%s" MACHINE "%s/", element, host,
		   goal->container);
	goal_xml(out, goal->instance.data);
	buf_format(out, "?comp=%s&amp;incarnation=%llu</%s>\n", query,
		   (unsigned long long)goal->incarnation, element);
}

static void add_configuration(struct buf *out, const char *host,
			      const struct goal *goal)
{
	static const char *const addresses[][2] = {
		{ "HostingEnvironmentConfig",
		  "config&amp;type=hostingEnvironmentConfig" },
		{ "SharedConfig", "config&amp;type=sharedConfig" },
		{ "ExtensionsConfig", "config&amp;type=extensionsConfig" },
		{ "Certificates", "certificates" },
	};
	size_t i;

	buf_text(out, "        <Configuration>\n");
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		add_address(out, host, goal, addresses[i][0], addresses[i][1]);
	buf_format(out,
		   "          <ConfigName>%s.0.%s.%llu.xml</ConfigName>\n"
		   "        </Configuration>\n",
		   goal->deployment, goal->role,
		   (unsigned long long)goal->incarnation);
}

static void goal_state(struct call *call)
{
	struct buf *body = &call->reply.body;
	struct goal goal;

	if (!speaks_protocol(call))
		return;
	if (!goal_of(call->vm, &goal)) {
		out_of_memory(call);
		return;
	}
	call->reply.status = 200;
	call->reply.type = XML_TYPE;
	buf_format(body,
		   XML_HEAD
		   "<GoalState xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-"
		   "instance\" xsi:noNamespaceSchemaLocation=\"goalstate10."
		   "xsd\">\n"
		   "  <Version>2012-11-30</Version>\n"
		   "  <Incarnation>%llu</Incarnation>\n"
		   "  <Machine>\n"
		   "    <ExpectedState>Started</ExpectedState>\n"
		   "    <StopRolesDeadlineHint>300000</StopRolesDeadlineHint>\n"
		   "    <LBProbePorts>\n"
		   "      <Port>16001</Port>\n"
		   "    </LBProbePorts>\n"
		   "    <ExpectHealthReport>FALSE</ExpectHealthReport>\n"
		   "  </Machine>\n"
		   "  <Container>\n"
		   "    <ContainerId>%s</ContainerId>\n"
		   "    <RoleInstanceList>\n"
		   "      <RoleInstance>\n"
		   "        <InstanceId>",
		   (unsigned long long)goal.incarnation, goal.container);
	goal_xml(body, goal.instance.data);
	buf_text(body, "</InstanceId>\n"
		       "        <State>Started</State>\n");
	add_configuration(body, call->emu->wireserver, &goal);
	buf_text(body, "      </RoleInstance>\n"
		       "    </RoleInstanceList>\n"
		       "  </Container>\n"
		       "</GoalState>\n");
	goal_clear(&goal);
}

/* One step of a path; goes behind it. */
static bool takes(const char **path, const char *name)
{
	size_t len = strcspn(*path, "/");
	bool ok = text_equal_nocase(*path, len, name);

	*path += len;
	return ok;
}

/* Is it the address of the goal state as it is now? Old ones are gone, which
 * is how a guest learns that it must ask for the goal state again. */
static bool is_current(struct call *call, const struct goal *goal)
{
	const char *path = route_rest(call, MACHINE);
	struct buf value = { 0 };
	uint64_t n;
	bool ok;

	ok = takes(&path, goal->container) && *path++ == '/' &&
	     takes(&path, goal->instance.data) &&
	     (!*path || !strcmp(path, "/"));
	if (ok && text_query(call->query, "incarnation", &value))
		ok = text_uint(value.data, value.len, &n) &&
		     n == goal->incarnation;
	buf_clear(&value);
	if (!ok)
		wireserver_error(call, 410, "ResourceNotAvailable",
				 "The resource requested is no longer "
				 "available. Please refresh your cache.");
	return ok;
}

static void add_config(struct call *call, const struct goal *goal)
{
	struct buf *body = &call->reply.body;
	char address[INET_ADDRSTRLEN] = "";
	struct in_addr own = names_address(call->peer->source);
	struct buf type = { 0 };

	text_query(call->query, "type", &type);
	inet_ntop(AF_INET, &own, address, sizeof(address));
	call->reply.status = 200;
	call->reply.type = XML_TYPE;
	if (type.len && text_equal_nocase(type.data, type.len, "sharedConfig"))
		config_shared(call->vm, goal, address, body);
	else if (type.len && text_equal_nocase(type.data, type.len,
					       "hostingEnvironmentConfig"))
		config_environment(call->vm, goal, body);
	else if (type.len &&
		 text_equal_nocase(type.data, type.len, "extensionsConfig"))
		config_extensions(call->vm, goal, body);
	else
		wireserver_error(call, 404, "ResourceNotFound",
				 "There is no configuration of that type.");
	buf_clear(&type);
}

/* Below /machine/: what the goal state points to. */
static void below(struct call *call,
		  void (*answer)(struct call *call, const struct goal *goal))
{
	struct goal goal;

	if (!speaks_protocol(call))
		return;
	if (!goal_of(call->vm, &goal)) {
		out_of_memory(call);
		return;
	}
	if (is_current(call, &goal))
		answer(call, &goal);
	goal_clear(&goal);
}

static void config(struct call *call)
{
	below(call, add_config);
}

static void certificates(struct call *call)
{
	below(call, certificates_call);
}

static void versions(struct call *call)
{
	struct buf *body = &call->reply.body;
	size_t i;

	call->reply.status = 200;
	call->reply.type = XML_TYPE;
	buf_format(body,
		   XML_HEAD "<Versions>\n"
			    "  <Preferred>\n"
			    "    <Version>%s</Version>\n"
			    "  </Preferred>\n"
			    "  <Supported>\n",
		   protocols[0]);
	for (i = 0; i < N_PROTOCOLS; i++)
		buf_format(body, "    <Version>%s</Version>\n", protocols[i]);
	buf_text(body, "  </Supported>\n</Versions>\n");
}

void wireserver_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/secure-channel/status", NULL, channel_status },
		{ "POST", "/secure-channel/key", NULL, channel_acquire },
		{ "POST", "/secure-channel/key/*", NULL, channel_attest },
		{ "GET", "/machine", "goalstate", goal_state },
		{ "GET", MACHINE "*", "config", config },
		{ "GET", MACHINE "*", "certificates", certificates },
		{ "POST", "/machine", "telemetrydata", sink_call },
		{ "POST", "/machine", "health", sink_call },
		{ "POST", "/machine", "roleProperties", sink_call },
		{ "GET", "/", "versions", versions },
		{ "PUT", "/vmAgentLog", NULL, sink_call },
	};

	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
