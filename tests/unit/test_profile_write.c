/* SPDX-License-Identifier: MIT */
/*
 * In: profiles with harmless and hostile names. Out: pass or fail. Must never
 * take a text for right because it can be read: it must say the same.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/profile_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID                                                                     \
	"/subscriptions/S/resourceGroups/R/providers/Microsoft.Compute/"       \
	"galleries/G/inVMAccessControlProfiles/imdsLinux/versions/1.2.3"

static const char plain[] =
	"{\"defaultAccess\":\"allow\",\"mode\":\"audit\",\"id\":\"" ID "\","
	"\"rules\":{\"privileges\":[{\"name\":\"p\",\"path\":\"/Metadata\","
	"\"queryParameters\":{\"API\":\"One\",\"b\":\"\"}},"
	"{\"name\":\"q\",\"path\":\"\"}],"
	"\"roles\":[{\"name\":\"r\",\"privileges\":[\"q\",\"p\"]},"
	"{\"name\":\"none\",\"privileges\":[]}],"
	"\"identities\":[{\"name\":\"i\",\"userName\":\"u\",\"groupName\":"
	"\"g\",\"exePath\":\"/bin/x\",\"processName\":\"x\"},"
	"{\"name\":\"j\",\"userName\":\"\"}],"
	"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"i\",\"j\"]},"
	"{\"role\":\"none\",\"identities\":[]}]}}";

/* what JSON, a template, or an expression in one could take for its own */
static const char hostile[] =
	"{\"defaultAccess\":\"deny\",\"mode\":\"disabled\","
	"\"id\":\"\\\"},\\u0001\\\\'[x]\",\"rules\":{\"privileges\":["
	"{\"name\":\"[concat('a')]\",\"path\":\"/[x]\",\"queryParameters\":"
	"{\"[k]\":\"[[v]\",\"[\":\"]\",\"[]\":\"[\\n]\"}},"
	"{\"name\":\"[[two]\",\"path\":\"[p]\"},"
	"{\"name\":\"\\\"\\\\\\b\\f\\u001f\\u007f\\u2028\\ud83d\\ude00\","
	"\"path\":\"/\"}],"
	"\"roles\":[{\"name\":\"[r]\",\"privileges\":[\"[concat('a')]\","
	"\"[[two]\"]}],\"identities\":[{\"name\":\"[[[i]\",\"userName\":"
	"\"[parameters('u')]\",\"exePath\":\"/a/\\\"b\"}],"
	"\"roleAssignments\":[{\"role\":\"[r]\",\"identities\":[\"[[[i]\"]}]}}";

static const char without_rules[] =
	"{\"defaultAccess\":\"deny\",\"mode\":\"enforce\",\"id\":\"\"}";

static const char *const documents[] = { plain, hostile, without_rules };

static struct msp_profile *parsed(const char *json)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *p;

	ck_assert_msg(msp_profile_parse(&p, json, strlen(json), &info) == 0,
		      "%s: %s\n%s", info.pointer, info.text, json);
	return p;
}

static struct msp_profile_write_opts wanted(enum msp_profile_form form,
					    uint32_t flags)
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;

	opts.form = form;
	opts.flags = flags;
	opts.location = "westus";
	opts.endpoint = MSP_ENDPOINT_IMDS;
	return opts;
}

static char *written(const struct msp_profile *p,
		     const struct msp_profile_write_opts *opts)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	size_t len = 0;
	char *text;

	ck_assert_msg(msp_profile_write(&text, &len, p, opts, &info) == 0, "%s",
		      info.text);
	ck_assert_uint_eq(strlen(text), len);
	return text;
}

/* all that counts but the id, which a template does not have */
static void take_id(struct msp_profile *to, const struct msp_profile *from)
{
	to->id = from->id;
}

START_TEST(what_is_written_reads_back_the_same)
{
	static const struct {
		enum msp_profile_form form;
		uint32_t flags;
	} ways[] = {
		{ MSP_PROFILE_WIRE, 0 },
		{ MSP_PROFILE_WIRE, MSP_PROFILE_COMPACT },
		{ MSP_PROFILE_ANY, 0 },
		{ MSP_PROFILE_ARM, 0 },
		{ MSP_PROFILE_ARM, MSP_PROFILE_COMPACT },
		{ MSP_PROFILE_ARM,
		  MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT },
	};
	struct msp_profile *p = parsed(documents[_i]), *again, *third;
	struct msp_profile_write_opts opts;
	enum msp_endpoint endpoint;
	char *text, *second;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		opts = wanted(ways[i].form, ways[i].flags);
		text = written(p, &opts);
		again = parsed(text);
		if (ways[i].flags & MSP_PROFILE_TEMPLATE) {
			ck_assert(msp_profile_endpoint(again, &endpoint));
			ck_assert_int_eq(endpoint, MSP_ENDPOINT_IMDS);
			take_id(again, p);
		}
		ck_assert_msg(msp_profile_equal(p, again), "%s", text);
		ck_assert_int_eq(strchr(text, '\n') != NULL,
				 !(ways[i].flags & MSP_PROFILE_COMPACT));
		/* and from there to the wire again, to the letter */
		second = written(again,
				 (opts = wanted(MSP_PROFILE_WIRE, 0), &opts));
		third = parsed(second);
		ck_assert(msp_profile_equal(p, third));
		msp_profile_free(third);
		msp_profile_free(again);
		msp_text_free(second);
		msp_text_free(text);
	}
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(parameters_keep_their_letter_case)
{
	struct msp_profile_write_opts opts =
		wanted(MSP_PROFILE_WIRE, MSP_PROFILE_COMPACT);
	struct msp_profile *p = parsed(plain);
	char *text = written(p, &opts);

	/* nothing is lost, and nothing moves */
	ck_assert_str_eq(text, plain);
	msp_text_free(text);
	msp_profile_free(p);
}
END_TEST

static const char template[] =
	"{\n"
	"  \"$schema\": \"https://schema.management.azure.com/schemas/"
	"2019-04-01/deploymentTemplate.json#\",\n"
	"  \"contentVersion\": \"1.0.0.0\",\n"
	"  \"resources\": [\n"
	"    {\n"
	"      \"type\": \"Microsoft.Compute/galleries/"
	"inVMAccessControlProfiles\",\n"
	"      \"apiVersion\": \"2024-03-03\",\n"
	"      \"name\": \"g'/p\",\n"
	"      \"location\": \"[resourceGroup().location]\",\n"
	"      \"properties\": {\n"
	"        \"osType\": \"Linux\",\n"
	"        \"applicableHostEndpoint\": \"WireServer\"\n"
	"      }\n"
	"    },\n"
	"    {\n"
	"      \"type\": \"Microsoft.Compute/galleries/"
	"inVMAccessControlProfiles/versions\",\n"
	"      \"apiVersion\": \"2024-03-03\",\n"
	"      \"name\": \"g'/p/1\",\n"
	"      \"location\": \"[resourceGroup().location]\",\n"
	"      \"dependsOn\": [\n"
	"        \"[resourceId('Microsoft.Compute/galleries/"
	"inVMAccessControlProfiles', 'g''', 'p')]\"\n"
	"      ],\n"
	"      \"properties\": {\n"
	"        \"mode\": \"Enforce\",\n"
	"        \"defaultAccess\": \"Deny\",\n"
	"        \"rules\": {\n"
	"          \"privileges\": [],\n"
	"          \"roles\": [],\n"
	"          \"identities\": [\n"
	"            {\n"
	"              \"name\": \"i\",\n"
	"              \"userName\": \"[[u]\"\n"
	"            }\n"
	"          ],\n"
	"          \"roleAssignments\": []\n"
	"        }\n"
	"      }\n"
	"    }\n"
	"  ]\n"
	"}\n";

START_TEST(a_template_is_what_azure_deploys)
{
	struct msp_profile_write_opts opts = wanted(
		MSP_PROFILE_ARM, MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT);
	struct msp_profile *p =
		parsed("{\"defaultAccess\":\"deny\",\"mode\":\"enforce\","
		       "\"id\":\"\",\"rules\":{\"identities\":[{\"name\":\"i\","
		       "\"userName\":\"[u]\"}]}}");
	struct msp_profile *again;
	char *text;

	opts.name = "g'/p/1";
	opts.location = NULL;
	opts.endpoint = MSP_ENDPOINT_WIRESERVER;
	text = written(p, &opts);
	ck_assert_str_eq(text, template);

	/* once it was read, nothing has to be said again */
	again = parsed(text);
	msp_text_free(text);
	opts = wanted(MSP_PROFILE_ANY, MSP_PROFILE_TEMPLATE);
	opts.location = NULL;
	text = written(again, &opts);
	ck_assert_str_eq(text, template);
	msp_text_free(text);
	msp_profile_free(again);
	msp_profile_free(p);
}
END_TEST

static const struct {
	const char *id;
	const char *asked;
	const char *name; /* as in the template; NULL: refused */
} names[] = {
	{ ID, NULL, "G/imdsLinux/1.2.3" },
	{ "/SUBSCRIPTIONS/S/GALLERIES/G/INVMACCESSCONTROLPROFILES/P/"
	  "VERSIONS/1",
	  NULL, "G/P/1" },
	{ "a/b/c", NULL, "a/b/c" },
	{ "some hash", NULL, "gallery/profile/1.0.0" },
	{ "", NULL, "gallery/profile/1.0.0" },
	{ "[concat('g')]/p/[v]", NULL, "gallery/profile/1.0.0" },
	{ "/galleries/G/other/P/versions/1", NULL, "gallery/profile/1.0.0" },
	{ ID, "x/y/z", "x/y/z" },
	{ ID, "x/y", NULL },
	{ ID, "x//z", NULL },
	{ ID, "w/x/y/z", NULL },
	{ ID, "/x/y/z", NULL },
	{ ID, "", NULL },
	{ ID, "[x/y/z]", NULL },
	{ ID, "x/y/\xff", NULL },
};

START_TEST(names_come_from_the_id)
{
	struct msp_profile_write_opts opts = wanted(
		MSP_PROFILE_ARM, MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT);
	char json[512], *text = NULL;
	struct msp_profile *p;

	snprintf(json, sizeof(json),
		 "{\"defaultAccess\":\"deny\",\"mode\":\"audit\",\"id\":"
		 "\"%s\"}",
		 names[_i].id);
	p = parsed(json);
	opts.name = names[_i].asked;
	if (!names[_i].name) {
		ck_assert_int_eq(msp_profile_write(&text, NULL, p, &opts, NULL),
				 MSP_ERR_INVAL);
		ck_assert_ptr_null(text);
	} else {
		struct msp_profile *again;

		text = written(p, &opts);
		again = parsed(text);
		ck_assert_str_eq(msp_profile_id(again), names[_i].name);
		msp_profile_free(again);
		msp_text_free(text);
	}
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(a_local_file_is_written_only_if_it_is_one)
{
	struct msp_profile_write_opts opts = wanted(MSP_PROFILE_LOCAL, 0);
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *p = parsed(plain), *again;
	char *text;

	ck_assert_int_eq(msp_profile_write(&text, NULL, p, &opts, &info),
			 MSP_ERR_SCHEMA);
	ck_assert_ptr_null(text);
	ck_assert_str_eq(info.text,
			 "cannot be a local rule file: privilege 'p' "
			 "queryParameters cannot contain empty keys or values");
	ck_assert_str_eq(info.pointer, "/rules/privileges/0/queryParameters/b");
	msp_profile_free(p);

	p = parsed("{\"id\":\"l\",\"rules\":{\"identities\":[{\"name\":\"i\","
		   "\"userName\":\"u\"}]}}");
	text = written(p, NULL);
	again = parsed(text);
	ck_assert_int_eq(msp_profile_form(again), MSP_PROFILE_LOCAL);
	ck_assert(!msp_profile_has_access(again));
	ck_assert(msp_profile_equal(p, again));
	msp_text_free(text);
	msp_profile_free(again);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static const struct {
	enum msp_profile_form form;
	uint32_t flags;
	enum msp_endpoint endpoint;
	const char *location;
	const char *text;
} refused[] = {
	{ MSP_PROFILE_ARM, 0, MSP_ENDPOINT_IMDS, NULL,
	  "an Azure resource needs a location" },
	{ MSP_PROFILE_ARM, MSP_PROFILE_TEMPLATE, MSP_ENDPOINT_IMDS, "x",
	  "a template needs an endpoint" },
	{ MSP_PROFILE_ARM, MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT,
	  MSP_ENDPOINT_HOSTGA, "x",
	  "Azure has profiles of WireServer and IMDS only" },
	{ MSP_PROFILE_WIRE, MSP_PROFILE_TEMPLATE, MSP_ENDPOINT_IMDS, "x",
	  "only the ARM form has templates" },
	{ MSP_PROFILE_WIRE, 8, MSP_ENDPOINT_IMDS, "x", "invalid argument" },
	{ (enum msp_profile_form)4, 0, MSP_ENDPOINT_IMDS, "x",
	  "invalid argument" },
	{ MSP_PROFILE_ARM, 0, MSP_ENDPOINT_IMDS, "\xc3",
	  "cannot be written: is not UTF-8" },
};

START_TEST(what_cannot_be_written_says_why)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile_write_opts opts =
		wanted(refused[_i].form, refused[_i].flags);
	struct msp_profile *p = parsed(plain);
	char *text = (void *)1;
	size_t len = 1;

	opts.endpoint = refused[_i].endpoint;
	opts.location = refused[_i].location;
	ck_assert_int_eq(msp_profile_write(&text, &len, p, &opts, &info),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(text);
	ck_assert_uint_eq(len, 0);
	ck_assert_str_eq(info.text, refused[_i].text);
	ck_assert_int_eq(msp_profile_write(NULL, NULL, p, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_write(&text, NULL, NULL, NULL, NULL),
			 MSP_ERR_INVAL);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(write_survives_every_failed_allocation)
{
	static const struct {
		enum msp_profile_form form;
		uint32_t flags;
		const char *json;
	} ways[] = {
		{ MSP_PROFILE_WIRE, 0, plain },
		{ MSP_PROFILE_ARM, 0, hostile },
		{ MSP_PROFILE_ARM, MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT,
		  hostile },
		{ MSP_PROFILE_LOCAL, 0, without_rules },
	};
	struct msp_profile_write_opts opts =
		wanted(ways[_i].form, ways[_i].flags);
	struct msp_profile *p = parsed(ways[_i].json);
	long before = failalloc_live(), n;
	char *text;
	int rc;

	for (n = 0;; n++) {
		text = (void *)1;
		failalloc_arm(n);
		rc = msp_profile_write(&text, NULL, p, &opts, NULL);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(text);
		ck_assert_int_eq(failalloc_live(), before);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 1);
	msp_text_free(text);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("profile_write");
	TCase *t = tcase_create("profile_write");

	tcase_add_loop_test(t, what_is_written_reads_back_the_same, 0,
			    COUNT(documents));
	tcase_add_test(t, parameters_keep_their_letter_case);
	tcase_add_test(t, a_template_is_what_azure_deploys);
	tcase_add_loop_test(t, names_come_from_the_id, 0, COUNT(names));
	tcase_add_test(t, a_local_file_is_written_only_if_it_is_one);
	tcase_add_loop_test(t, what_cannot_be_written_says_why, 0,
			    COUNT(refused));
	tcase_add_loop_test(t, write_survives_every_failed_allocation, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
