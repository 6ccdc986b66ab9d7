/* SPDX-License-Identifier: MIT */
/*
 * In: key status documents, good and odd. Out: pass or fail. Must never need
 * a network, a file or a privilege.
 */
#include <check.h>
#include <msp/keystatus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define GUID "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define BASE                                                                   \
	"\"authorizationScheme\":\"Azure-HMAC-SHA256\","                       \
	"\"keyDeliveryMethod\":\"http\""
#define V1(state)                                                              \
	"{" BASE ",\"version\":\"1.0\",\"secureChannelState\":\"" state "\"}"
#define V2(rules)                                                              \
	"{" BASE ",\n\"version\":\"2.0\",\"secureChannelEnabled\":true,"       \
	"\n\"authorizationRules\":{" rules "}}"
#define NOT_VALID "Key error: Key status validation failed with the error: "
#define ITEM(mode, id)                                                         \
	"{\"defaultAccess\":\"deny\",\"mode\":\"" mode "\",\"id\":\"" id "\"}"

static int parse(struct msp_keystatus **out, const char *json,
		 struct msp_error_info *info)
{
	size_t len = strlen(json);
	char *copy = malloc(len + 1);
	int rc;

	memcpy(copy, json, len);
	rc = msp_keystatus_parse(out, copy, len, info);
	free(copy);
	return rc;
}

static struct msp_keystatus *parsed(const char *json)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystatus *status;

	ck_assert_msg(parse(&status, json, &info) == 0, "%s: %s %s", json,
		      info.pointer, info.text);
	return status;
}

static const struct {
	const char *json;
	const char *pointer;
	const char *text;
} bad[] = {
	{ "[]", "", "is an array, expected an object" },
	{ "{\"keyDeliveryMethod\":\"http\",\"version\":\"1.0\"}",
	  "/authorizationScheme", "is missing" },
	{ "{\"authorizationScheme\":\"x\",\"version\":\"1.0\"}",
	  "/keyDeliveryMethod", "is missing" },
	{ "{" BASE ",\"secureChannelState\":\"Disabled\"}", "/version",
	  "is missing" },
	{ "{" BASE ",\"version\":2.0,\"secureChannelEnabled\":true}",
	  "/version", "is a number, expected a string" },
	{ "{" BASE ",\"version\":\"1.0\",\"version\":\"2.0\"}", "/version",
	  "is given twice" },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":\"true\"}",
	  "/secureChannelEnabled", "is a string, expected a boolean" },
	{ "{" BASE ",\"version\":\"1.0\",\"secureChannelState\":1}",
	  "/secureChannelState", "is a number, expected a string" },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":true,"
	  "\"authorizationRules\":[]}",
	  "/authorizationRules", "is an array, expected an object" },
	{ V2("\"imds\":null,\"imds\":" ITEM("audit", "x")),
	  "/authorizationRules/imds", "is given twice" },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":false,"
	  "\"keyIncarnationId\":1.5}",
	  "/keyIncarnationId", "is not a whole number from 0 to 4294967295" },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":false,"
	  "\"keyGuid\":\"../../../../etc/cron.d/x\"}",
	  "/keyGuid", "is not a guid" },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":false,"
	  "\"keyGuid\":\"\"}",
	  "/keyGuid", "is not a guid" },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":false,"
	  "\"requiredClaimsHeaderPairs\":[\"isRoot\",1]}",
	  "/requiredClaimsHeaderPairs/1", "is a number, expected a string" },

	/* spec 5.3 */
	{ "{\"authorizationScheme\":\"azure-hmac-sha256\","
	  "\"keyDeliveryMethod\":\"vtpm\",\"version\":\"1.0\","
	  "\"secureChannelState\":\"disabled\"}",
	  "/authorizationScheme",
	  NOT_VALID "authorizationScheme must be 'Azure-HMAC-SHA256'; " },
	{ "{\"authorizationScheme\":\"Azure-HMAC-SHA256\","
	  "\"keyDeliveryMethod\":\"HTTP\",\"version\":\"1.0\","
	  "\"secureChannelState\":\"disabled\"}",
	  "/keyDeliveryMethod",
	  NOT_VALID "keyDeliveryMethod 'HTTP' is invalid; " },
	{ "{\"authorizationScheme\":\"\",\"keyDeliveryMethod\":\"tpm\","
	  "\"version\":\"1.0\",\"secureChannelState\":\"Off\"}",
	  "/authorizationScheme",
	  NOT_VALID "authorizationScheme must be 'Azure-HMAC-SHA256'; "
		    "keyDeliveryMethod 'tpm' is invalid; "
		    "secureChannelState 'off' is invalid; " },
	{ "{" BASE ",\"version\":\"3.7\",\"secureChannelState\":null}",
	  "/secureChannelState",
	  NOT_VALID
	  "Both secureChannelEnabled and secureChannelState are missing in "
	  "version: 3.7" },
	{ "{" BASE ",\"version\":\"1.0\"}", "/secureChannelState",
	  NOT_VALID
	  "Both secureChannelEnabled and secureChannelState are missing in "
	  "version: 1.0" },
	{ V1("Enforced"), "/secureChannelState",
	  NOT_VALID "secureChannelState 'enforced' is invalid; " },
	{ V1("Audit"), "/secureChannelState",
	  NOT_VALID "secureChannelState 'audit' is invalid; " },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":true,"
	  "\"secureChannelState\":\"IMDS\"}",
	  "/secureChannelState",
	  NOT_VALID "secureChannelState 'imds' is invalid; " },
	{ "{" BASE ",\"version\":\"1.0\",\"secureChannelEnabled\":true}",
	  "/secureChannelState",
	  NOT_VALID "secureChannelState is missing in version: 1.0" },
	{ "{" BASE ",\"version\":\"2.0\","
	  "\"secureChannelState\":\"WireServer\"}",
	  "/secureChannelEnabled",
	  NOT_VALID "secureChannelEnabled is missing in version: 2.0" },
};

START_TEST(envelope_faults_refuse_the_document)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystatus *status = (void *)1;

	ck_assert_int_eq(parse(&status, bad[_i].json, &info), MSP_ERR_SCHEMA);
	ck_assert_ptr_null(status);
	ck_assert_str_eq(info.pointer, bad[_i].pointer);
	ck_assert_str_eq(info.text, bad[_i].text);
	ck_assert_uint_ge(info.line, 1);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static const struct {
	const char *json;
	const char *channel;
	bool enabled;
	enum msp_mode wireserver;
	enum msp_mode imds;
} states[] = {
#define ENF MSP_MODE_ENFORCE
#define AUD MSP_MODE_AUDIT
#define OFF MSP_MODE_DISABLED
	{ V1("Disabled"), "disabled", false, OFF, OFF },
	{ V1("Wireserver"), "wireserver", true, ENF, AUD },
	{ V1("WireserverAndImds"), "wireserverandimds", true, ENF, ENF },
	{ "{" BASE ",\"version\":\"0.9\","
	  "\"secureChannelState\":\"WIRESERVER\"}",
	  "wireserver", true, ENF, AUD },
	{ "{" BASE ",\"version\":\"2.1\",\"secureChannelEnabled\":true}",
	  "disabled", false, OFF, OFF },
	/* v1 modes do not come from items */
	{ "{" BASE ",\"version\":\"1.0\",\"secureChannelState\":\"Disabled\","
	  "\"authorizationRules\":{\"imds\":" ITEM("enforce", "x") "}}",
	  "disabled", false, OFF, OFF },
	{ V2("\"imds\":" ITEM("enforce", "i") ",\"wireserver\":" ITEM("Enforce",
								      "w")),
	  "WireServer Enforce -  IMDS Enforce - HostGA Enforce", true, ENF,
	  ENF },
	{ V2("\"imds\":" ITEM("AUDIT", "i") ",\"wireserver\":" ITEM("disabled",
								    "w")),
	  "WireServer Disabled -  IMDS Audit - HostGA Disabled", true, OFF,
	  AUD },
	{ V2("\"imds\":null,\"wireserver\":" ITEM("audit", "w")),
	  "WireServer Audit -  IMDS Disabled - HostGA Audit", true, AUD, OFF },
	{ V2(""), "WireServer Disabled -  IMDS Disabled - HostGA Disabled",
	  true, OFF, OFF },
	{ V2("\"hostga\":" ITEM("enforce", "h")),
	  "WireServer Disabled -  IMDS Disabled - HostGA Disabled", true, OFF,
	  OFF },
	/* v1's field is checked but does not count */
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":true,"
	  "\"secureChannelState\":\"Disabled\",\"authorizationRules\":{}}",
	  "WireServer Disabled -  IMDS Disabled - HostGA Disabled", true, OFF,
	  OFF },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":true}",
	  "disabled", false, OFF, OFF },
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":true,"
	  "\"authorizationRules\":null}",
	  "disabled", false, OFF, OFF },
	/* fix Q28 */
	{ "{" BASE ",\"version\":\"2.0\",\"secureChannelEnabled\":false,"
	  "\"authorizationRules\":{\"imds\":" ITEM("enforce", "i") "}}",
	  "disabled", false, OFF, OFF },
	{ "\xef\xbb\xbf" V1("Wireserver"), "wireserver", true, ENF, AUD },
};

START_TEST(channel_and_modes_are_those_of_the_table)
{
	struct msp_keystatus *s = parsed(states[_i].json);

	ck_assert_str_eq(msp_keystatus_channel(s), states[_i].channel);
	ck_assert_int_eq(msp_keystatus_enabled(s), states[_i].enabled);
	ck_assert_int_eq(msp_keystatus_mode(s, MSP_ENDPOINT_WIRESERVER),
			 states[_i].wireserver);
	ck_assert_int_eq(msp_keystatus_mode(s, MSP_ENDPOINT_IMDS),
			 states[_i].imds);
	ck_assert_int_eq(msp_keystatus_mode(s, MSP_ENDPOINT_HOSTGA),
			 states[_i].wireserver);
	msp_keystatus_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(fields_are_read_or_absent)
{
	struct msp_keystatus *s;
	uint32_t number = 0;

	s = parsed("{" BASE ",\"version\":\"2.0\",\"keyGuid\":\"" GUID "\","
		   "\"keyIncarnationId\":7,\"secureChannelEnabled\":true,"
		   "\"requiredClaimsHeaderPairs\":[\"isRoot\"],"
		   "\"unknown\":1,\"unknown\":2}");
	ck_assert_str_eq(msp_keystatus_guid(s), GUID);
	ck_assert_str_eq(msp_keystatus_version(s), "2.0");
	ck_assert_str_eq(msp_keystatus_delivery(s), "http");
	ck_assert(msp_keystatus_incarnation(s, &number));
	ck_assert_uint_eq(number, 7);
	msp_keystatus_free(s);

	s = parsed("{\"authorizationScheme\":\"Azure-HMAC-SHA256\","
		   "\"keyDeliveryMethod\":\"vtpm\",\"version\":\"1.0\","
		   "\"secureChannelState\":\"Disabled\"}");
	ck_assert_str_eq(msp_keystatus_delivery(s), "vtpm");
	msp_keystatus_free(s);

	s = parsed("{" BASE ",\"version\":\"1.0\",\"keyGuid\":null,"
		   "\"keyIncarnationId\":null,\"secureChannelEnabled\":null,"
		   "\"requiredClaimsHeaderPairs\":null,"
		   "\"secureChannelState\":\"Wireserver\"}");
	ck_assert_ptr_null(msp_keystatus_guid(s));
	ck_assert(!msp_keystatus_incarnation(s, &number));
	ck_assert_str_eq(msp_keystatus_rule_id(s, MSP_ENDPOINT_IMDS), "");
	ck_assert_ptr_null(msp_keystatus_profile(s, MSP_ENDPOINT_IMDS));
	ck_assert_ptr_null(msp_keystatus_fault(s, MSP_ENDPOINT_IMDS));
	msp_keystatus_free(s);
	msp_keystatus_free(NULL);
}
END_TEST

START_TEST(hostga_is_governed_by_the_wireserver_item)
{
	struct msp_keystatus *s = parsed(
		V2("\"wireserver\":" ITEM("audit", "w") ",\"imds\":" ITEM(
			"enforce", "i") ",\"hostga\":" ITEM("enforce", "h")));
	const struct msp_profile *p;

	p = msp_keystatus_profile(s, MSP_ENDPOINT_WIRESERVER);
	ck_assert_str_eq(msp_profile_id(p), "w");
	ck_assert_ptr_eq(msp_keystatus_profile(s, MSP_ENDPOINT_HOSTGA), p);
	ck_assert_str_eq(msp_keystatus_rule_id(s, MSP_ENDPOINT_HOSTGA), "w");
	ck_assert_str_eq(msp_keystatus_rule_id(s, MSP_ENDPOINT_IMDS), "i");
	ck_assert_ptr_null(msp_keystatus_profile(s, (enum msp_endpoint)3));
	ck_assert_ptr_null(msp_keystatus_fault(s, (enum msp_endpoint)3));
	ck_assert_str_eq(msp_keystatus_rule_id(s, (enum msp_endpoint)3), "");
	ck_assert_int_eq(msp_keystatus_mode(s, (enum msp_endpoint)3),
			 MSP_MODE_ENFORCE);
	msp_keystatus_free(s);
}
END_TEST

START_TEST(profile_with_an_owner_outlives_its_status)
{
	struct msp_keystatus *s = parsed(V2("\"imds\":" ITEM("audit", "i")));
	struct msp_profile *p;

	p = msp_profile_ref(msp_keystatus_profile(s, MSP_ENDPOINT_IMDS));
	msp_keystatus_free(s);
	ck_assert_str_eq(msp_profile_id(p), "i");
	ck_assert_int_eq(msp_profile_mode(p), MSP_MODE_AUDIT);
	ck_assert_int_gt(failalloc_live(), 0);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static const char *const odd_hostga[] = {
	"7",
	"[]",
	"{}",
	"{\"mode\":1,\"mode\":2}",
	"{\"rules\":{\"privileges\":7}}",
};

START_TEST(hostga_item_cannot_fail_the_document)
{
	struct msp_keystatus *s;
	char json[512];

	snprintf(json, sizeof(json),
		 V2("\"hostga\":%s,\"imds\":" ITEM("audit", "i")),
		 odd_hostga[_i]);
	s = parsed(json);
	ck_assert_ptr_nonnull(msp_keystatus_profile(s, MSP_ENDPOINT_IMDS));
	ck_assert_ptr_null(msp_keystatus_fault(s, MSP_ENDPOINT_HOSTGA));
	msp_keystatus_free(s);
}
END_TEST

/* a broken item: what can be read of it, the rest closed */
static const struct {
	const char *item;
	enum msp_mode mode;
	const char *id;
	const char *pointer; /* below the item */
	const char *text;
} broken[] = {
	{ "7", ENF, "", "", "is a number, expected an object" },
	{ "{}", ENF, "", "/defaultAccess", "is missing" },
	{ "{\"defaultAccess\":\"allow\",\"mode\":\"Audit\"}", AUD, "", "/id",
	  "is missing" },
	{ "{\"defaultAccess\":\"maybe\",\"mode\":\"disabled\",\"id\":\"x\"}",
	  OFF, "x", "/defaultAccess", "is 'maybe', expected allow or deny" },
	{ "{\"defaultAccess\":\"allow\",\"mode\":\"off\",\"id\":\"x\"}", ENF,
	  "x", "/mode", "is 'off', expected disabled, audit or enforce" },
	{ "{\"defaultAccess\":\"allow\",\"mode\":\"audit\",\"mode\":\"audit\","
	  "\"id\":\"x\"}",
	  ENF, "x", "/mode", "is given twice" },
	{ "{\"defaultAccess\":\"allow\",\"mode\":\"audit\",\"id\":\"x\","
	  "\"id\":\"y\"}",
	  AUD, "", "/id", "is given twice" },
	{ "{\"defaultAccess\":\"allow\",\"mode\":\"audit\",\"id\":\"x\","
	  "\"rules\":{\"privileges\":[{\"name\":\"p\",\"path\":17}]}}",
	  AUD, "x", "/rules/privileges/0/path",
	  "is a number, expected a string" },
};

static void check_fault(const struct msp_keystatus *s, const char *name,
			enum msp_endpoint endpoint, int i)
{
	const struct msp_error_info *fault;
	char pointer[128];

	snprintf(pointer, sizeof(pointer), "/authorizationRules/%s%s", name,
		 broken[i].pointer);
	fault = msp_keystatus_fault(s, endpoint);
	ck_assert_ptr_nonnull(fault);
	ck_assert_str_eq(fault->pointer, pointer);
	ck_assert_str_eq(fault->text, broken[i].text);
	ck_assert_uint_eq(fault->line, 3);
	ck_assert_ptr_null(msp_keystatus_profile(s, endpoint));
	ck_assert_int_eq(msp_keystatus_mode(s, endpoint), broken[i].mode);
	ck_assert_str_eq(msp_keystatus_rule_id(s, endpoint), broken[i].id);
}

START_TEST(broken_imds_item_closes_imds_only)
{
	struct msp_keystatus *s;
	char json[1024];

	snprintf(json, sizeof(json),
		 V2("\"imds\":%s,\"wireserver\":" ITEM("audit", "w")),
		 broken[_i].item);
	s = parsed(json);
	check_fault(s, "imds", MSP_ENDPOINT_IMDS, _i);
	ck_assert_ptr_nonnull(
		msp_keystatus_profile(s, MSP_ENDPOINT_WIRESERVER));
	ck_assert_ptr_null(msp_keystatus_fault(s, MSP_ENDPOINT_WIRESERVER));
	ck_assert_ptr_null(msp_keystatus_fault(s, MSP_ENDPOINT_HOSTGA));
	msp_keystatus_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(broken_wireserver_item_closes_wireserver_and_hostga_only)
{
	struct msp_keystatus *s;
	char json[1024];

	snprintf(json, sizeof(json),
		 V2("\"wireserver\":%s,\"imds\":" ITEM("audit", "i")),
		 broken[_i].item);
	s = parsed(json);
	check_fault(s, "wireserver", MSP_ENDPOINT_WIRESERVER, _i);
	check_fault(s, "wireserver", MSP_ENDPOINT_HOSTGA, _i);
	ck_assert_ptr_nonnull(msp_keystatus_profile(s, MSP_ENDPOINT_IMDS));
	ck_assert_ptr_null(msp_keystatus_fault(s, MSP_ENDPOINT_IMDS));
	ck_assert_int_eq(msp_keystatus_mode(s, MSP_ENDPOINT_IMDS), AUD);
	msp_keystatus_free(s);
}
END_TEST

START_TEST(documents_and_items_are_bounded)
{
	size_t len = MSP_KEYSTATUS_MAX_BYTES + 1, start;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	static const char doc[] = V1("Wireserver");
	static const char tail[] = "\"x\":1}}}";
	char *json = malloc(len);
	struct msp_keystatus *s;

	memset(json, ' ', len);
	memcpy(json, doc, strlen(doc));
	ck_assert_int_eq(msp_keystatus_parse(&s, json, len - 1, &info), 0);
	msp_keystatus_free(s);
	ck_assert_int_eq(msp_keystatus_parse(&s, json, len, &info),
			 MSP_ERR_LIMIT);
	ck_assert_ptr_null(s);

	/* an item of more than a megabyte is at fault, not the document */
	start = (size_t)snprintf(json, len,
				 "{" BASE ",\"version\":\"2.0\","
				 "\"secureChannelEnabled\":true,"
				 "\"authorizationRules\":{\"imds\":"
				 "{");
	memset(json + start, ' ', MSP_PROFILE_MAX_BYTES);
	strcpy(json + start + MSP_PROFILE_MAX_BYTES, tail);
	ck_assert_int_eq(msp_keystatus_parse(&s, json, strlen(json), &info), 0);
	ck_assert_ptr_nonnull(
		strstr(msp_keystatus_fault(s, MSP_ENDPOINT_IMDS)->text,
		       "at most 1048576"));
	msp_keystatus_free(s);
	free(json);
	ck_assert_int_eq(msp_keystatus_parse(NULL, "{}", 2, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_keystatus_parse(&s, NULL, 2, NULL), MSP_ERR_INVAL);
}
END_TEST

static const char *const alloc_docs[] = {
	V2("\"wireserver\":" ITEM("audit", "w") ",\"imds\":" ITEM("enforce",
								  "i")),
	V2("\"wireserver\":{\"id\":\"x\"},\"imds\":7"),
};

START_TEST(parse_survives_every_failed_allocation)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *json = alloc_docs[_i];
	struct msp_keystatus *s;
	long n;
	int rc;

	for (n = 0;; n++) {
		s = (void *)1;
		failalloc_arm(n);
		rc = msp_keystatus_parse(&s, json, strlen(json), &info);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(s);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 6);
	msp_keystatus_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("keystatus");
	TCase *t = tcase_create("keystatus");

	tcase_add_loop_test(t, envelope_faults_refuse_the_document, 0,
			    COUNT(bad));
	tcase_add_loop_test(t, channel_and_modes_are_those_of_the_table, 0,
			    COUNT(states));
	tcase_add_test(t, fields_are_read_or_absent);
	tcase_add_test(t, hostga_is_governed_by_the_wireserver_item);
	tcase_add_test(t, profile_with_an_owner_outlives_its_status);
	tcase_add_loop_test(t, hostga_item_cannot_fail_the_document, 0,
			    COUNT(odd_hostga));
	tcase_add_loop_test(t, broken_imds_item_closes_imds_only, 0,
			    COUNT(broken));
	tcase_add_loop_test(
		t, broken_wireserver_item_closes_wireserver_and_hostga_only, 0,
		COUNT(broken));
	tcase_add_test(t, documents_and_items_are_bounded);
	tcase_add_loop_test(t, parse_survives_every_failed_allocation, 0,
			    COUNT(alloc_docs));
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
