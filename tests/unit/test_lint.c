/* SPDX-License-Identifier: MIT */
/*
 * In: valid profiles that their owners did not mean so, and ones that they
 * did. Out: pass or fail. Must never let one be said of the other.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <msp/lint.h>

#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ' stands for " in documents, so that they can be read */
#define PROFILE(access, rules)                                                 \
	"{'defaultAccess':'" access                                            \
	"','mode':'enforce','id':'x','rules':{" rules "}}"
/* one privilege, of one identity */
#define PRIVILEGE(fields)                                                      \
	PROFILE("deny", "'privileges':[{'name':'p'," fields "}]," REST)
#define IDENTITY(fields)                                                       \
	PROFILE("deny", "'privileges':[{'name':'p','path':'/metadata'}],"      \
			"'identities':[{'name':'i'," fields "}]," ROLES)
#define REST "'identities':[{'name':'i','userName':'u'}]," ROLES
#define ROLES                                                                  \
	"'roles':[{'name':'r','privileges':['p']}],"                           \
	"'roleAssignments':[{'role':'r','identities':['i']}]"

/* Privileges p and q, identities i and j: who has what is the point. */
#define TWO(access, p, q, p_has, q_has)                                        \
	PROFILE(access,                                                        \
		"'privileges':[{'name':'p'," p "},{'name':'q'," q "}],"        \
		"'roles':[{'name':'r','privileges':['p']},"                    \
		"{'name':'s','privileges':['q']}],"                            \
		"'identities':[{'name':'i','userName':'u'},"                   \
		"{'name':'j','userName':'v'},"                                 \
		"{'name':'k','userName':'u','groupName':'g'},"                 \
		"{'name':'same','userName':'u'},{'name':'all'}],"              \
		"'roleAssignments':[{'role':'r','identities':[" p_has "]},"    \
		"{'role':'s','identities':[" q_has "]}]")

#define TOKEN	 "'path':'/metadata/identity/oauth2/token'"
#define VAULT	 "'queryParameters':{'resource':'https://vault.azure.net'}"
#define ATTESTED "'path':'/metadata/attested/document'"
#define ALL                                                                    \
	", because the identity 'all' has no selector: give it a userName or " \
	"an exePath\n"
#define GUID "0123abcd-0123-abcd-0123-0123456789ab"

/* What is not the point of most documents is left out of what is compared. */
#define ANY 0
/* all but SECRET_OPEN for WireServer and HostGAPlugin */
#define IMDS   (1 + MSP_ENDPOINT_IMDS)
#define WIRE   (1 + MSP_ENDPOINT_WIRESERVER)
#define HOSTGA (1 + MSP_ENDPOINT_HOSTGA)

/* endpoint; the codes of interest; "severity code pointer text" a line */
struct lint_case {
	int endpoint;
	enum msp_finding_code code;
	const char *json;
	const char *findings;
};

static const struct lint_case cases[] = {
	/* ---- shadowed ---- */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/Metadata/a'", "'i'",
	      "'i'"),
	  "note shadowed /rules/privileges/1 adds nothing: privilege 'p' "
	  "grants the same callers all of it, remove one of them" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/metadata/a'", "'i','j'",
	      "'i'"),
	  "warning shadowed /rules/privileges/1 keeps nobody out: privilege "
	  "'p' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	/* nobody is kept out by nobody being assigned either */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("allow", "'path':'/metadata'", "'path':'/metadata/a'", "'i'", ""),
	  "warning shadowed /rules/privileges/1 keeps nobody out: privilege "
	  "'p' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/metadata/a'", "", "'i'"),
	  "" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/metadata/a'", "", ""),
	  "" },
	/* another caller, or more of them */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/metadata/a'", "'i'",
	      "'j'"),
	  "" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/metadata/a'", "'i'",
	      "'i','j'"),
	  "" },
	/* another path: whole segments count */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/metadata'", "'path':'/metadata2'", "'i'",
	      "'i'"),
	  "" },
	/* the wider one stands second */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a/b/c'", "'path':''", "'i'", "'i','j'"),
	  "warning shadowed /rules/privileges/0 keeps nobody out: privilege "
	  "'q' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	/* of two that are the same the second; fewer callers whichever it is */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/A/'", "'i'", "'i'"),
	  "note shadowed /rules/privileges/1 adds nothing: privilege 'p' "
	  "grants the same callers all of it, remove one of them" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/a'", "'i'", "'i','j'"),
	  "warning shadowed /rules/privileges/0 keeps nobody out: privilege "
	  "'q' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	/* identities that ask for the same, for less, for nothing */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/a/b'", "'i'", "'same'"),
	  "note shadowed /rules/privileges/1 adds nothing: privilege 'p' "
	  "grants the same callers all of it, remove one of them" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/a/b'", "'i'", "'k'"),
	  "warning shadowed /rules/privileges/1 keeps nobody out: privilege "
	  "'p' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/a/b'", "'k'", "'i'"), "" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/a/b'", "'all'", "'j','k'"),
	  "warning shadowed /rules/privileges/1 keeps nobody out: privilege "
	  "'p' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a'", "'path':'/a/b'", "'all','i'", "'all','j'"),
	  "note shadowed /rules/privileges/1 adds nothing: privilege 'p' "
	  "grants the same callers all of it, remove one of them" },
	/* parameters */
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", TOKEN "," VAULT, TOKEN, "'i'", "'i'"),
	  "note shadowed /rules/privileges/0 adds nothing: privilege 'q' "
	  "grants the same callers all of it, remove one of them" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a','queryParameters':{'K':'V'}",
	      "'path':'/a/b','queryParameters':{'a':'b','k':'v'}", "'i','j'",
	      "'i'"),
	  "warning shadowed /rules/privileges/1 keeps nobody out: privilege "
	  "'p' grants all of it to more callers and any grant wins, narrow "
	  "that one" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a','queryParameters':{'k':'v'}",
	      "'path':'/a','queryParameters':{'k':'v','x':'y'}", "'i'", "'i'"),
	  "note shadowed /rules/privileges/1 adds nothing: privilege 'p' "
	  "grants the same callers all of it, remove one of them" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a','queryParameters':{'k':'v'}",
	      "'path':'/a/b','queryParameters':{'k':'w'}", "'i'", "'i'"),
	  "" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a','queryParameters':{'k':'v','l':'w'}",
	      "'path':'/a/b','queryParameters':{'k':'v','m':'w'}", "'i'",
	      "'i'"),
	  "" },
	{ IMDS, MSP_FINDING_SHADOWED,
	  TWO("deny", "'path':'/a','queryParameters':{'k':'v'}",
	      "'path':'/a/b'", "'i'", "'i'"),
	  "" },

	/* ---- never: paths and parameters ---- */
	{ IMDS, MSP_FINDING_NEVER, PRIVILEGE("'path':'/a..b'"),
	  "warning never /rules/privileges/0/path has two dots in a row, which "
	  "no request may have: no request matches, take them out" },
	{ IMDS, MSP_FINDING_NEVER, PRIVILEGE("'path':'/a/../b'"), "" },
	{ IMDS, MSP_FINDING_NEVER,
	  PRIVILEGE("'path':'/','queryParameters':{'a':'https%3A//x'}"),
	  "warning never /rules/privileges/0/queryParameters 'a' asks for a "
	  "backslash or an escape that is left after decoding, which is "
	  "refused: no request matches, write the text decoded" },
	{ IMDS, MSP_FINDING_NEVER,
	  PRIVILEGE("'path':'/','queryParameters':{'a\\\\b':'c'}"),
	  "warning never /rules/privileges/0/queryParameters 'a\\b' asks for "
	  "a backslash or an escape that is left after decoding, which is "
	  "refused: no request matches, write the text decoded" },
	{ IMDS, MSP_FINDING_NEVER,
	  PRIVILEGE("'path':'/','queryParameters':{'a':'b\\n'}"),
	  "warning never /rules/privileges/0/queryParameters 'a' asks for a "
	  "control character, which no request may have: no request matches, "
	  "take it out" },
	{ IMDS, MSP_FINDING_NEVER,
	  PRIVILEGE("'path':'/a%20b#','queryParameters':"
		    "{'a':'https://x/%','b':'','c':'100%','\\u00e9':'\\u00e9'"
		    "}"),
	  "" },

	/* ---- never: identities ---- */
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'exePath':'bin/app'"),
	  "warning never /rules/identities/0/exePath is not absolute, as the "
	  "path of every program is: write it from the root on" },
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'exePath':'/opt/../bin/app'"),
	  "warning never /rules/identities/0/exePath has '..', which the path "
	  "of no program has: write it without" },
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'exePath':'//./'"),
	  "warning never /rules/identities/0/exePath is a directory: name a "
	  "program" },
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'processName':'bin/app'"),
	  "warning never /rules/identities/0/processName is no file name, as "
	  "the name of every program is: write the last component of its "
	  "path" },
	{ IMDS, MSP_FINDING_NEVER,
	  IDENTITY("'exePath':'/opt/app','processName':'App'"),
	  "warning never /rules/identities/0/processName is not the last "
	  "component of exePath, 'app': no program matches, leave it out" },
	{ IMDS, MSP_FINDING_NEVER,
	  IDENTITY("'exePath':'//opt/./a..b/app/','processName':'app'"), "" },
	/* reading says that it matches nobody */
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'exePath':'','processName':'a/b'"),
	  "" },
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'exePath':'/link/python3'"),
	  "warning never /rules/identities/0/exePath leads through a symbolic "
	  "link, and no program is known by such a path: write "
	  "'/usr/bin/python3.11'" },
	{ IMDS, MSP_FINDING_NEVER, IDENTITY("'exePath':'/good//./app'"), "" },

	/* ---- spelling ---- */
	{ IMDS, MSP_FINDING_SPELLING, PRIVILEGE("'path':'/Metadata/'"),
	  "note spelling /rules/privileges/0/path is compared as '/metadata' "
	  "(trailing slash, upper case): write it so, others may compare it as "
	  "it stands" },
	{ IMDS, MSP_FINDING_SPELLING, PRIVILEGE("'path':'a%2fb;c'"),
	  "note spelling /rules/privileges/0/path is compared as '/a/b' (no "
	  "slash in front, ';' cuts a segment, escapes): write it so, others "
	  "may compare it as it stands" },
	{ IMDS, MSP_FINDING_SPELLING, PRIVILEGE("'path':'/a//b/./%25x%20'"),
	  "note spelling /rules/privileges/0/path is compared as '/a/b/%25x ' "
	  "(empty or dot segments, escapes): write it so, others may compare "
	  "it as it stands" },
	{ IMDS, MSP_FINDING_SPELLING, PRIVILEGE("'path':'/a/b/..'"),
	  "note spelling /rules/privileges/0/path is compared as '/a' (dot "
	  "segments): write it so, others may compare it as it stands" },
	{ IMDS, MSP_FINDING_SPELLING, PRIVILEGE("'path':''"),
	  "note spelling /rules/privileges/0/path is compared as '/' (it is "
	  "empty): write it so, others may compare it as it stands" },
	{ IMDS, MSP_FINDING_SPELLING,
	  PRIVILEGE("'path':'/','queryParameters':{'k':'a+b'}"),
	  "note spelling /rules/privileges/0/queryParameters 'k' asks for a "
	  "plus sign, not for a blank: write a blank if that is meant" },
	{ IMDS, MSP_FINDING_SPELLING,
	  PRIVILEGE("'path':'/metadata/a b/%25','queryParameters':"
		    "{'Key':'A b'}"),
	  "" },
	{ IMDS, MSP_FINDING_SPELLING, PRIVILEGE("'path':'/'"), "" },

	/* ---- secret-open: IMDS ---- */
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  "{'defaultAccess':'allow','mode':'audit','id':''}",
	  "warning secret-open /defaultAccess is allow and no privilege covers "
	  "access tokens of the VM (/metadata/identity/oauth2/token): "
	  "everybody gets them, add a privilege and assign it to who needs "
	  "them\n"
	  "note secret-open /defaultAccess is allow and no privilege covers "
	  "documents that prove to be this VM (/metadata/attested): everybody "
	  "gets them, add a privilege and assign it to who needs them" },
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  "{'defaultAccess':'deny','mode':'audit','id':''}", "" },
	{ IMDS, MSP_FINDING_SECRET_OPEN, "{'rules':{}}", "" },
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", TOKEN, ATTESTED, "'i'", "'j'"), "" },
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", "'path':'/metadata/'", "'path':'/b'", "'i'", "'j'"),
	  "" },
	/* what does not cover all of it leaves it open */
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", TOKEN "," VAULT, "'path':'/metadata/attested'", "'i'",
	      "'j'"),
	  "warning secret-open /defaultAccess is allow and privilege 'p' "
	  "covers access tokens of the VM (/metadata/identity/oauth2/token) "
	  "with its own parameters only: with others everybody gets them, add "
	  "a privilege without parameters" },
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", "'path':'/metadata/identity/oauth2/token/x'", ATTESTED,
	      "'i'", "'j'"),
	  "warning secret-open /defaultAccess is allow and no privilege covers "
	  "access tokens of the VM (/metadata/identity/oauth2/token): "
	  "everybody gets them, add a privilege and assign it to who needs "
	  "them" },
	/* closed to all, though the rest is open */
	{ IMDS, MSP_FINDING_SECRET_OPEN, TWO("allow", TOKEN, ATTESTED, "", ""),
	  "warning secret-open /rules/privileges/0 covers access tokens of the "
	  "VM (/metadata/identity/oauth2/token) and is assigned to nobody: "
	  "nobody gets them though defaultAccess "
	  "is allow, assign it to who needs them\n"
	  "note secret-open /rules/privileges/1 covers documents that prove to "
	  "be this VM (/metadata/attested) and is assigned to nobody: nobody "
	  "gets them though "
	  "defaultAccess is allow, assign it to who needs them" },
	{ IMDS, MSP_FINDING_SECRET_OPEN, TWO("deny", TOKEN, ATTESTED, "", ""),
	  "" },
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", TOKEN, "'path':'/metadata'", "", "'i'"), "" },
	/* everyone */
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("deny", "'path':'/metadata/identity'", "'path':'/b'", "'i','all'",
	      "'all'"),
	  "warning secret-open /rules/privileges/0 gives access tokens of the "
	  "VM (/metadata/identity/oauth2/token) to everybody, because the "
	  "identity 'all' has no selector: give "
	  "it a userName or an exePath" },
	{ IMDS, MSP_FINDING_SECRET_OPEN,
	  TWO("deny", TOKEN, "'path':'/b'", "'i'", "'all'"), "" },

	{ IMDS, MSP_FINDING_SECRET_OPEN, IDENTITY("'exePath':'/good/app'"),
	  "" },
	{ IMDS, MSP_FINDING_SECRET_OPEN, IDENTITY("'processName':'app'"), "" },

	/* ---- secret-open: WireServer and HostGAPlugin ---- */
	{ WIRE, MSP_FINDING_SECRET_OPEN,
	  TWO("deny", "'path':'/machine/abc'", "'path':'/machine/" GUID "0'",
	      "'all'", "'all'"),
	  "" },
	{ WIRE, MSP_FINDING_SECRET_OPEN,
	  TWO("allow",
	      "'path':'/machine','queryParameters':{'comp':'Certificates'}",
	      "'path':'/vmSettings'", "'i'", "'j'"),
	  "warning secret-open /defaultAccess is allow and no privilege covers "
	  "the settings of extensions (/machine with comp=config and "
	  "type=extensionsConfig): every process of root gets them, add a "
	  "privilege and assign it to who needs them\n"
	  "warning secret-open /defaultAccess is allow and no privilege covers "
	  "the VM's certificates (/certificates): every process of root gets "
	  "them, add a privilege and assign it to who needs them" },
	{ WIRE, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", "'path':'/'", "'path':'/b'", "'i'", "'j'"), "" },
	{ WIRE, MSP_FINDING_SECRET_OPEN,
	  TWO("deny",
	      "'path':'/machine/" GUID "/x','queryParameters':{'comp':"
	      "'config','type':'extensionsConfig','incarnation':'1'}",
	      "'path':'/machine','queryParameters':{'comp':'goalstate'}",
	      "'all'", "'all'"),
	  "warning secret-open /rules/privileges/0 gives the settings of "
	  "extensions (/machine with comp=config and type=extensionsConfig) to "
	  "every process of root, because the identity 'all' "
	  "has no selector: give it a userName or an exePath" },
	{ WIRE, MSP_FINDING_SECRET_OPEN,
	  TWO("deny", "'path':'/machine/plugins'",
	      "'path':'/machine/" GUID "/x/y'", "'all'", "'all'"),
	  "" },
	{ HOSTGA, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", "'path':'/vmSettings'", "'path':'/b'", "'i'", "'j'"),
	  "warning secret-open /defaultAccess is allow and no privilege covers "
	  "the VM's certificates (/certificates): every process of root gets "
	  "them, add a privilege and assign it to who needs them" },

	/* ---- the endpoint is guessed by the paths ---- */
	{ ANY, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", TOKEN, ATTESTED, "'i'", "'j'"), "" },
	{ ANY, MSP_FINDING_SECRET_OPEN,
	  TWO("allow", "'path':'/Machine'", "'path':'/certificates'", "'i'",
	      "'j'"),
	  "warning secret-open /defaultAccess is allow and no privilege covers "
	  "the settings of extensions (/vmSettings): every process of root "
	  "gets them, add a privilege and assign it to who needs them" },
	/* "/meta" is no segment of any */
	{ ANY, MSP_FINDING_SECRET_OPEN,
	  TWO("deny", "'path':'/meta'", "'path':'/'", "'i'", "'all'"),
	  "warning secret-open /rules/privileges/1 gives access tokens of the "
	  "VM (/metadata/identity/oauth2/token) to everybody" ALL
	  "note secret-open /rules/privileges/1 gives documents that prove to "
	  "be this VM (/metadata/attested) to everybody" ALL
	  "warning secret-open /rules/privileges/1 gives the VM's certificates "
	  "(/machine with comp=certificates) to every process of root" ALL
	  "warning secret-open /rules/privileges/1 gives the settings of "
	  "extensions (/machine with comp=config and type=extensionsConfig) to "
	  "every process of root" ALL
	  "warning secret-open /rules/privileges/1 gives the settings of "
	  "extensions (/vmSettings) to every process of root" ALL
	  "warning secret-open /rules/privileges/1 gives the VM's certificates "
	  "(/certificates) to every process of root, because the identity "
	  "'all' has no selector: give it a userName or an exePath" },

	/* ---- interpreter ---- */
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'exePath':'/good/python3.11'"),
	  "warning interpreter /rules/identities/0/exePath 'python3.11' is "
	  "whatever it is told to run, by any user: name a program of its own, "
	  "or add a userName" },
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'exePath':'/good/bash/','groupName':'g'"),
	  "warning interpreter /rules/identities/0/exePath 'bash' is whatever "
	  "it is told to run: all that these users run with it is this "
	  "identity, name a program of its own" },
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'processName':'ld-linux-x86-64.so.2'"),
	  "warning interpreter /rules/identities/0/processName "
	  "'ld-linux-x86-64.so.2' is whatever it is told to run, by any user: "
	  "name a program of its own, or add a userName" },
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'exePath':'/good/sudo','userName':'u'"),
	  "warning interpreter /rules/identities/0/exePath 'sudo' starts "
	  "another program, and that is the one which connects: name that" },
	/* by what the link leads to, and once */
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'exePath':'/link/python3','processName':'python3'"),
	  "warning interpreter /rules/identities/0/exePath 'python3.11' is "
	  "whatever it is told to run, by any user: name a program of its own, "
	  "or add a userName" },
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'exePath':'/good/bash/app','processName':'app'"), "" },
	{ IMDS, MSP_FINDING_INTERPRETER,
	  IDENTITY("'exePath':'/good/pythonista'"), "" },
	{ IMDS, MSP_FINDING_INTERPRETER, IDENTITY("'exePath':'/good/ldd'"),
	  "" },

	/* ---- writable, no-file ---- */
	{ IMDS, MSP_FINDING_WRITABLE, IDENTITY("'exePath':'/user/app'"),
	  "warning writable /rules/identities/0/exePath can be written or "
	  "replaced by others than root, who then are this identity: give it "
	  "and its directories to root alone" },
	{ IMDS, MSP_FINDING_WRITABLE, IDENTITY("'exePath':'/group/app'"),
	  "warning writable /rules/identities/0/exePath can be written or "
	  "replaced by others than root, who then are this identity: give it "
	  "and its directories to root alone" },
	{ IMDS, MSP_FINDING_WRITABLE, IDENTITY("'exePath':'/tmp/app'"),
	  "warning writable /rules/identities/0/exePath can be written or "
	  "replaced by others than root, who then are this identity: give it "
	  "and its directories to root alone" },
	{ IMDS, MSP_FINDING_WRITABLE, IDENTITY("'exePath':'/good/app'"), "" },
	{ IMDS, MSP_FINDING_WRITABLE, IDENTITY("'exePath':'/none/app'"), "" },
	{ IMDS, MSP_FINDING_NO_FILE, IDENTITY("'exePath':'/none/app'"),
	  "note no-file /rules/identities/0/exePath is not on this machine: "
	  "check the path" },
	{ IMDS, MSP_FINDING_NO_FILE, IDENTITY("'exePath':'/hidden/app'"),
	  "note no-file /rules/identities/0/exePath could not be looked at: "
	  "check it as root" },
	{ IMDS, MSP_FINDING_NO_FILE, IDENTITY("'exePath':'/data/app'"),
	  "note no-file /rules/identities/0/exePath is not a program on this "
	  "machine: check the path" },
	{ IMDS, MSP_FINDING_NO_FILE, IDENTITY("'exePath':'/good/app'"), "" },
	/* not asked for what cannot be */
	{ IMDS, MSP_FINDING_NO_FILE, IDENTITY("'exePath':'none'"), "" },

	/* ---- case ---- */
	{ IMDS, MSP_FINDING_CASE,
	  PROFILE("deny",
		  "'privileges':[{'name':'P','path':'/'},"
		  "{'name':'q','path':'/'},{'name':'p','path':'/'}],"
		  "'roles':[{'name':'r','privileges':[]},"
		  "{'name':'R','privileges':[]},{'name':'rr','privileges':[]}"
		  "],'identities':[{'name':'I'},{'name':'i'}]"),
	  "warning case /rules/privileges/2/name differs from 'P' in letter "
	  "case only, and references to one do not mean the other: rename one\n"
	  "warning case /rules/roles/1/name differs from 'r' in letter case "
	  "only, and references to one do not mean the other: rename one\n"
	  "warning case /rules/identities/1/name differs from 'I' in letter "
	  "case only, and references to one do not mean the other: rename "
	  "one" },
	{ IMDS, MSP_FINDING_CASE,
	  PROFILE("deny", "'privileges':[{'name':'p','path':'/'},"
			  "{'name':'P2','path':'/'}],"
			  "'roles':[{'name':'P','privileges':[]}]"),
	  "" },

	/* ---- process-only ---- */
	{ IMDS, MSP_FINDING_PROCESS_ONLY,
	  IDENTITY("'exePath':'/good/app','processName':'app'"),
	  "note process-only /rules/identities/0 has an exePath and no user: "
	  "anybody who may run the program is this identity, add a userName" },
	{ IMDS, MSP_FINDING_PROCESS_ONLY, IDENTITY("'processName':'app'"),
	  "warning process-only /rules/identities/0 has a processName alone, "
	  "and any user can give a program that name: add a userName and an "
	  "exePath" },
	{ IMDS, MSP_FINDING_PROCESS_ONLY,
	  IDENTITY("'processName':'app','userName':'u'"), "" },
	{ IMDS, MSP_FINDING_PROCESS_ONLY,
	  IDENTITY("'exePath':'/good/app','groupName':'g'"), "" },
	{ IMDS, MSP_FINDING_PROCESS_ONLY, "{'rules':{'identities':[]}}", "" },
	/* only root gets as far */
	{ WIRE, MSP_FINDING_PROCESS_ONLY, IDENTITY("'processName':'app'"), "" },
	{ HOSTGA, MSP_FINDING_PROCESS_ONLY, IDENTITY("'processName':'app'"),
	  "" },
};

/* ' becomes ", \' becomes ' */
static char *document(const char *text)
{
	char *json = malloc(strlen(text) + 1), *out = json;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == '\'')
			*out++ = *++text;
		else
			*out++ = *text == '\'' ? '"' : *text;
	}
	*out = '\0';
	return json;
}

static struct msp_profile *profile_of(const char *text)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;
	char *json = document(text);
	int rc = msp_profile_parse(&profile, json, strlen(json), &info);

	ck_assert_msg(rc == 0, "%s\n%s", json, info.text);
	free(json);
	return profile;
}

/* A machine: what is at a path is told by its first directory. */
static int machine(void *arg, const char *path, struct msp_lint_file *out)
{
	static const struct {
		const char *at;
		struct msp_lint_file file;
	} files[] = {
		{ "/good/", { .exists = true, .mode = S_IFREG | 0755 } },
		{ "/user/",
		  { .exists = true, .mode = S_IFREG | 0755, .uid = 1000 } },
		{ "/group/", { .exists = true, .mode = S_IFREG | 0775 } },
		{ "/tmp/",
		  { .exists = true,
		    .mode = S_IFREG | 0755,
		    .others_can_write = true } },
		{ "/data/", { .exists = true, .mode = S_IFREG | 0644 } },
		{ "/link/",
		  { .exists = true,
		    .mode = S_IFREG | 0755,
		    .real = "/usr/bin/python3.11" } },
	};
	int i, *asked = arg;

	++*asked;
	ck_assert_uint_eq(out->size, sizeof(*out));
	ck_assert(!out->exists && !out->real[0] && path[0] == '/');
	if (strncmp(path, "/hidden/", 8) == 0)
		return -1;
	for (i = 0; i < COUNT(files); i++) {
		if (strncmp(path, files[i].at, strlen(files[i].at)) != 0)
			continue;
		*out = files[i].file;
		if (!out->real[0])
			snprintf(out->real, sizeof(out->real), "%s", path);
	}
	return 0;
}

static void print(char *out, size_t size, const struct msp_findings *list,
		  enum msp_finding_code code)
{
	const struct msp_finding *f;
	size_t i, n = 0;

	out[0] = '\0';
	for (i = 0; (f = msp_findings_get(list, i)) && n < size; i++)
		if (code == ANY || f->code == code)
			n += (size_t)snprintf(out + n, size - n,
					      "%s%s %s %s %s", n ? "\n" : "",
					      msp_severity_name(f->severity),
					      msp_finding_code_name(f->code),
					      f->pointer, f->text);
}

static void set_opts(struct msp_lint_opts *opts, const struct lint_case *c,
		     int *asked)
{
	*opts = (struct msp_lint_opts)MSP_LINT_OPTS_INIT;
	opts->file = machine;
	opts->arg = asked;
	if (c->endpoint == ANY)
		return;
	opts->flags = MSP_LINT_ENDPOINT;
	opts->endpoint = (enum msp_endpoint)(c->endpoint - 1);
}

START_TEST(lint_says_what_the_table_has)
{
	struct msp_profile *profile = profile_of(cases[_i].json);
	struct msp_findings *list = NULL;
	struct msp_lint_opts opts;
	char seen[8192];
	int asked = 0;
	size_t i;

	set_opts(&opts, &cases[_i], &asked);
	ck_assert_int_eq(msp_profile_lint(&list, profile, &opts), 0);
	print(seen, sizeof(seen), list, cases[_i].code);
	ck_assert_msg(strcmp(seen, cases[_i].findings) == 0,
		      "%s\nsaid:\n%s\nexpected:\n%s", cases[_i].json, seen,
		      cases[_i].findings);
	ck_assert_uint_eq(msp_findings_errors(list), 0);
	for (i = 0; i < msp_findings_count(list); i++) {
		ck_assert_uint_ge(msp_findings_get(list, i)->line, 1);
		ck_assert_uint_ge(msp_findings_get(list, i)->column, 1);
	}
	msp_findings_free(list);
	msp_profile_free(profile);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(lint_survives_every_failed_allocation)
{
	struct msp_profile *profile = profile_of(cases[_i].json);
	long n, live = failalloc_live();
	struct msp_findings *list;
	struct msp_lint_opts opts;
	int rc, asked = 0;

	set_opts(&opts, &cases[_i], &asked);
	for (n = 0;; n++) {
		list = (void *)1;
		failalloc_arm(n);
		rc = msp_profile_lint(&list, profile, &opts);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(list);
		ck_assert_int_eq(failalloc_live(), live);
	}
	ck_assert_int_eq(rc, 0);
	msp_findings_free(list);
	msp_profile_free(profile);
}
END_TEST

/* A profile as somebody might write it, with nothing to say about it. */
START_TEST(lint_is_silent_about_a_good_profile)
{
	struct msp_lint_opts opts = MSP_LINT_OPTS_INIT;
	struct msp_findings *list;
	struct msp_profile *profile;
	char seen[1024];
	int asked = 0;

	profile = profile_of(PROFILE(
		"allow",
		"'privileges':[{'name':'token','path':"
		"'/metadata/identity/oauth2/token'},"
		"{'name':'attested','path':'/metadata/attested'}],"
		"'roles':[{'name':'apps','privileges':['token']},"
		"{'name':'proof','privileges':['attested']}],"
		"'identities':[{'name':'billing','userName':'billing',"
		"'exePath':'/good/billing','processName':'billing'},"
		"{'name':'ops','groupName':'ops'}],"
		"'roleAssignments':[{'role':'apps','identities':['billing']},"
		"{'role':'proof','identities':['ops','billing']}]"));
	opts.file = machine;
	opts.arg = &asked;
	ck_assert_int_eq(msp_profile_lint(&list, profile, &opts), 0);
	print(seen, sizeof(seen), list, ANY);
	ck_assert_str_eq(seen, "");
	ck_assert_int_eq(asked, 1);
	msp_findings_free(list);
	/* without a callback too */
	ck_assert_int_eq(msp_profile_lint(&list, profile, NULL), 0);
	ck_assert_uint_eq(msp_findings_count(list), 0);
	msp_findings_free(list);
	msp_profile_free(profile);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lint");
	TCase *tc = tcase_create("lint");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, lint_says_what_the_table_has, 0, COUNT(cases));
	tcase_add_loop_test(tc, lint_survives_every_failed_allocation, 0,
			    COUNT(cases));
	tcase_add_test(tc, lint_is_silent_about_a_good_profile);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
