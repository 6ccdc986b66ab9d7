/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on WireServer's address.
 * Out: goal state, versions, shared configuration; bodies into the void.
 * Never: decides about keys or signatures.
 */
#include "emulator.h"
#include "net/route.h"

#define XML_TYPE   "text/xml; charset=utf-8"
#define XML_HEAD   "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
#define CONTAINER  "6f3a1c52-8d0e-4b7a-9c51-2e7d4b90a8f3"
#define DEPLOYMENT "1b9e7c40-5a2d-4f83-b6e1-0c4d8a7f2e95"
#define INSTANCE   DEPLOYMENT "._msphost"

static void goal_state(struct call *call)
{
	const char *host = call->emu->wireserver;
	struct buf *body = &call->reply.body;

	call->reply.status = 200;
	call->reply.type = XML_TYPE;
	buf_text(body, XML_HEAD
		 "<GoalState xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-"
		 "instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n"
		 "  <Version>2012-11-30</Version>\n"
		 "  <Incarnation>1</Incarnation>\n"
		 "  <Machine>\n"
		 "    <ExpectedState>Started</ExpectedState>\n"
		 "    <StopRolesDeadlineHint>300000</StopRolesDeadlineHint>\n"
		 "    <LBProbePorts><Port>16001</Port></LBProbePorts>\n"
		 "    <ExpectHealthReport>FALSE</ExpectHealthReport>\n"
		 "  </Machine>\n"
		 "  <Container>\n"
		 "    <ContainerId>" CONTAINER "</ContainerId>\n"
		 "    <RoleInstanceList>\n"
		 "      <RoleInstance>\n"
		 "        <InstanceId>" INSTANCE "</InstanceId>\n"
		 "        <State>Started</State>\n"
		 "        <Configuration>\n");
	buf_format(body,
		   "          <SharedConfig>http://%s/machine/" CONTAINER
		   "/" INSTANCE "?comp=config&amp;type=sharedConfig"
		   "&amp;incarnation=1</SharedConfig>\n",
		   host);
	buf_text(body, "        </Configuration>\n"
		       "      </RoleInstance>\n"
		       "    </RoleInstanceList>\n"
		       "  </Container>\n"
		       "</GoalState>\n");
}

static const char shared_config[] = XML_HEAD
	"<SharedConfig version=\"1.0.0.0\" goalStateIncarnation=\"1\">\n"
	"  <Deployment name=\"" DEPLOYMENT "\" guid=\"{" DEPLOYMENT "}\""
	" incarnation=\"0\">\n"
	"    <Service name=\"msp-host\" guid=\"{" CONTAINER "}\" />\n"
	"    <ServiceInstance name=\"" DEPLOYMENT ".0\""
	" guid=\"{" CONTAINER "}\" />\n"
	"  </Deployment>\n"
	"  <Incarnation number=\"1\" instance=\"msphost\""
	" guid=\"{" CONTAINER "}\" />\n"
	"  <Role guid=\"{" CONTAINER "}\" name=\"msphost\""
	" settleTimeSeconds=\"0\" />\n"
	"  <Instances>\n"
	"    <Instance id=\"" INSTANCE "\" address=\"10.0.0.4\" />\n"
	"  </Instances>\n"
	"</SharedConfig>\n";

static void config(struct call *call)
{
	struct buf type = { 0 };
	bool ok;

	ok = text_query(call->query, "type", &type) &&
	     text_equal_nocase(type.data, type.len, "sharedConfig");
	buf_clear(&type);
	if (ok)
		call_text(call, 200, XML_TYPE, shared_config);
	else
		call_error(call, 404, "not-found", "no such configuration");
}

static void versions(struct call *call)
{
	call_text(call, 200, XML_TYPE,
		  XML_HEAD "<Versions>\n"
			   "  <Preferred>\n"
			   "    <Version>2015-04-05</Version>\n"
			   "  </Preferred>\n"
			   "  <Supported>\n"
			   "    <Version>2015-04-05</Version>\n"
			   "    <Version>2012-11-30</Version>\n"
			   "    <Version>2012-09-15</Version>\n"
			   "    <Version>2012-05-15</Version>\n"
			   "    <Version>2011-12-31</Version>\n"
			   "    <Version>2011-10-15</Version>\n"
			   "    <Version>2011-08-31</Version>\n"
			   "    <Version>2011-04-07</Version>\n"
			   "    <Version>2010-12-15</Version>\n"
			   "    <Version>2010-28-10</Version>\n"
			   "  </Supported>\n"
			   "</Versions>\n");
}

void wireserver_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/secure-channel/status", NULL, channel_status },
		{ "POST", "/secure-channel/key", NULL, channel_acquire },
		{ "POST", "/secure-channel/key/*", NULL, channel_attest },
		{ "GET", "/machine", "goalstate", goal_state },
		{ "GET", "/machine/*", "config", config },
		{ "POST", "/machine", "telemetrydata", sink_call },
		{ "POST", "/machine", "health", sink_call },
		{ "GET", "/", "versions", versions },
		{ "PUT", "/vmAgentLog", NULL, sink_call },
	};

	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
