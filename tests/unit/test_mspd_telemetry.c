/* SPDX-License-Identifier: MIT */
/*
 * In: documents of a host, good and hostile, events, files of events. Out:
 * whether telemetry takes the fields, and writes documents that are well
 * formed, in order, bounded and without secrets (spec 9.1, 9.2).
 */
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/telemetry_priv.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *dir;
static struct mspd_batch *batch;
static struct mspd_events queue;
static size_t dropped; /* of the last file read */
static struct mspd_vm vm;

static void setup(void)
{
	dir = scratch_make();
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_NO_LEVEL), 0);
	batch = mspd_batch_new();
	memset(&vm, 0, sizeof(vm));
}

static void teardown(void)
{
	mspd_events_clear(&queue);
	mspd_batch_free(batch);
	mspd_log_close();
	scratch_remove();
}

/* ---- XML --------------------------------------------------------------- */

static const struct {
	const char *doc;
	const char *text; /* of <a>; NULL: none */
} texts[] = {
	{ "<a>x</a>", "x" },
	{ "<?xml version=\"1.0\"?>\n<r><b/><a k=\"v\">\n x y \n</a></r>",
	  "x y" },
	{ "<r><a>first</a><a>second</a></r>", "first" },
	{ "<a>http://h/?x=1&amp;y=&lt;&gt;&quot;&apos;&#65;&#x42;</a>",
	  "http://h/?x=1&y=<>\"'AB" },
	{ "<!-- <a>no</a> --><r><![CDATA[<a>no</a>]]><a>yes</a></r>", "yes" },
	{ "<r k='<a>no</a>' l=\"></r>\"><a>yes</a></r>", "yes" },
	{ "<ab>no</ab><A>no</A><a>\xc3\xa9</a>", "\xc3\xa9" },
	{ "<a></a>", "" },
	{ "", NULL },
	{ "<a/>", NULL },
	{ "<a>x", NULL },
	{ "<a", NULL },
	{ "<a>x<b/></a>", NULL },
	{ "<a><![CDATA[x]]></a>", NULL },
	{ "<!DOCTYPE r [<!ENTITY e \"x\">]><a>x</a>", NULL },
	{ "<!-- <a>x</a>", NULL },
	{ "<a>&e;</a>", NULL },
	{ "<a>&amp</a>", NULL },
	{ "<a>&#0;</a>", NULL },
	{ "<a>&#10;</a>", NULL },
	{ "<a>&#xffff;</a>", NULL },
	{ "<a>&#99999999999;</a>", NULL },
	{ "<a>\x01</a>", NULL },
	{ "<a>\xff</a>", NULL },
	{ "<a k=\"></a>", NULL },
	{ "<a>0123456789012345678901234567890</a>", NULL },
};

START_TEST(xml_text_is_taken_or_refused)
{
	char out[31] = "old";
	bool found = mspd_xml_text(texts[_i].doc, strlen(texts[_i].doc), "a",
				   out, sizeof(out));

	ck_assert_int_eq(found, texts[_i].text != NULL);
	ck_assert_str_eq(out, found ? texts[_i].text : "");
}
END_TEST

static const struct {
	const char *doc;
	const char *value; /* of k in <a>; NULL: none */
} attributes[] = {
	{ "<a k=\"v\"/>", "v" },
	{ "<a k='v w'>", "v w" },
	{ "<b k=\"no\"/><a\n  j=\"1\"\n\tk=\"&lt;\" />", "<" },
	{ "<a kk=\"no\" k=\"v\"/>", "v" },
	{ "<a/>", NULL },
	{ "<a k/>", NULL },
	{ "<a k=v/>", NULL },
	{ "<a k = \"v\"/>", NULL },
	{ "<a k=\"v/>", NULL },
	{ "<a j=\"1\"k=\"v\"/>", "v" },
	{ "<a k=>", NULL },
};

START_TEST(xml_attribute_is_taken_or_refused)
{
	const char *doc = attributes[_i].doc;
	const char *value = attributes[_i].value;
	char out[31] = "old";
	bool found = mspd_xml_attribute(doc, strlen(doc), "a", "k", out,
					sizeof(out));

	ck_assert_int_eq(found, value != NULL);
	ck_assert_str_eq(out, value ? value : "");
}
END_TEST

/* Whatever is cut off, it is read within its bounds (checked by ASan). */
START_TEST(xml_cut_anywhere_is_harmless)
{
	static const char doc[] = "<?xml?><!--c--><r><![CDATA[d]]>"
				  "<a k=\"v&amp;\" l='x'>t&#65;</a></r>";
	const size_t tag = (size_t)(strstr(doc, "<a ") - doc);
	char out[31];
	size_t len;

	for (len = 0; len < sizeof(doc); len++) {
		char *copy = malloc(len ? len : 1);

		memcpy(copy, doc, len);
		if (mspd_xml_text(copy, len, "a", out, sizeof(out)))
			ck_assert_str_eq(out, "tA");
		else
			ck_assert_str_eq(out, "");
		if (mspd_xml_attribute(copy, len, "a", "l", out, sizeof(out)))
			ck_assert(len > tag && !strcmp(out, "x"));
		else
			ck_assert_str_eq(out, "");
		free(copy);
	}
}
END_TEST

START_TEST(shared_configuration_gives_tenant_role_and_first_instance)
{
	static const char doc[] =
		"<SharedConfig><Deployment name=\"dep\" guid=\"{1}\"/>"
		"<Incarnation instance=\"no\"/><Role guid=\"{2}\" name=\"r&amp;"
		"d\"/><Instances><Instance id=\"i0\"/><Instance id=\"i1\"/>"
		"</Instances></SharedConfig>";

	ck_assert(mspd_vm_shared(&vm, doc, strlen(doc)));
	ck_assert_str_eq(vm.tenant, "dep");
	ck_assert_str_eq(vm.role, "r&d");
	ck_assert_str_eq(vm.instance, "i0");
}
END_TEST

static const struct {
	const char *doc;
	bool good, image;
} computes[] = {
	{ "{\"compute\":{\"offer\":\"o\",\"vmId\":\"v\",\"subscriptionId\":"
	  "\"s\",\"resourceGroupName\":\"g\"},\"network\":{\"vmId\":\"no\"}}",
	  true, true },
	{ "{\"compute\":{\"offer\":\"\",\"vmId\":\"v\",\"subscriptionId\":"
	  "\"s\",\"resourceGroupName\":\"g\",\"x\":[{\"vmId\":\"no\"}]}}",
	  true, false },
	{ "{\"network\":{\"compute\":{\"vmId\":\"v\"}}}", false, false },
	{ "{\"compute\":[{\"vmId\":\"v\"}]}", false, false },
	{ "{\"compute\":{\"vmId\":7}}", false, false },
	{ "{\"compute\":{\"vmId\":\"v\"}", false, false },
	{ "[[[[[[[[[[[[[[[[[[[[", false, false },
	{ "", false, false },
	{ "<html/>", false, false },
};

START_TEST(instance_metadata_is_taken_or_refused)
{
	const char *doc = computes[_i].doc;

	ck_assert_int_eq(mspd_vm_compute(&vm, doc, strlen(doc)),
			 computes[_i].good);
	if (!computes[_i].good)
		return;
	ck_assert_str_eq(vm.vm_id, "v");
	ck_assert_str_eq(vm.subscription, "s");
	ck_assert_str_eq(vm.group, "g");
	ck_assert_int_eq(vm.image, computes[_i].image);
}
END_TEST

static const struct {
	const char *url;
	const char *target;
} urls[] = {
	{ "http://168.63.129.16:80/machine/a?b=c&d", "/machine/a?b=c&d" },
	{ "http://168.63.129.16/m", "/m" },
	{ "http://168.63.129.16:8080/m", NULL },
	{ "http://168.63.129.160/m", NULL },
	{ "http://168.63.129.16", NULL },
	{ "http://evil/m", NULL },
	{ "http://168.63.129.16@evil/m", NULL },
	{ "https://168.63.129.16/m", NULL },
	{ "http://168.63.129.16/a b", NULL },
	{ "http://168.63.129.16/a\r\nX: y", NULL },
	{ "http://168.63.129.16/a#b", NULL },
	{ "", NULL },
};

START_TEST(goal_state_sends_nobody_elsewhere)
{
	struct msp_address address = { inet_addr("168.63.129.16"), 80, 0 };
	const char *target = mspd_url_target(urls[_i].url, &address);

	if (urls[_i].target)
		ck_assert_pstr_eq(target, urls[_i].target);
	else
		ck_assert_ptr_null(target);
}
END_TEST

/* ---- batches ----------------------------------------------------------- */

static struct mspd_event *new_event(enum mspd_event_kind kind,
				    const char *message, size_t len)
{
	struct mspd_event *event =
		mspd_event_new(kind, "task", "op", message, len);

	ck_assert_ptr_nonnull(event);
	strcpy(event->level, "WARN");
	strcpy(event->name, "n");
	strcpy(event->type, "Monitoring");
	strcpy(event->pid, "1");
	strcpy(event->tid, "00000002");
	strcpy(event->time, "2026-01-02T03:04:05.678");
	strcpy(event->version, "9.8.7");
	return event;
}

static enum mspd_batch_result add(enum mspd_event_kind kind,
				  const char *message, size_t len)
{
	struct mspd_event *event = new_event(kind, message, len);
	enum mspd_batch_result result = mspd_batch_add(batch, event);

	free(event);
	return result;
}

#define P(name, value, type)                                                   \
	"<Param Name=\"" name "\" Value=\"" value "\" T=\"mt:" type "\" />"
#define COMMON                                                                 \
	P("KeywordName", "{&quot;CpuArchitecture&quot;:&quot;x&quot;}",        \
	  "wstr")                                                              \
	P("TenantName", "t", "wstr")                                           \
	P("RoleName", "r&amp;d", "wstr")                                       \
	P("RoleInstanceName", "i", "wstr")                                     \
	P("ContainerId", "c", "wstr")                                          \
	P("ResourceGroupName", "g", "wstr")                                    \
	P("SubscriptionId", "s", "wstr")                                       \
	P("VMId", "v", "wstr")                                                 \
	P("ImageOrigin", "1", "uint64")                                        \
	P("OSVersion", "Linux:D-12", "wstr")                                   \
	P("RAM", "2048", "uint64")                                             \
	P("Processors", "2", "uint64")                                         \
	P("EventPid", "1", "uint64")                                           \
	P("EventTid", "00000002", "uint64")
#define ORIGIN                                                                 \
	P("ExecutionMode", "ProxyAgent", "wstr")                               \
	P("TaskName", "task", "wstr")                                          \
	P("OpcodeName", "2026-01-02T03:04:05.678", "wstr")

START_TEST(batch_is_the_document_of_the_protocol)
{
	/* clang-format off */
	static const char whole[] =
		"<?xml version=\"1.0\"?><TelemetryData version=\"1.0\">"
		"<Provider id=\"69B669B9-4AF8-4C50-BDC4-6006FA76E975\">"
		"<Event id=\"1\"><![CDATA[" COMMON
		P("GAVersion", MSP_VERSION, "wstr") ORIGIN
		P("ExtensionType", "Monitoring", "wstr")
		P("IsInternal", "False", "bool")
		P("Name", "n", "wstr")
		P("Version", "9.8.7", "wstr")
		P("Operation", "op", "wstr")
		P("OperationSuccess", "True", "bool")
		P("Message", "{&quot;a&quot;:1}", "wstr")
		P("Duration", "77", "uint64")
		"]]></Event></Provider>"
		"<Provider id=\"FFF0196F-EE4C-4EAF-9AA5-776F622DEB4F\">"
		"<Event id=\"7\"><![CDATA[" COMMON
		P("GAVersion", "9.8.7", "wstr") ORIGIN
		P("EventName", "MicrosoftAzureGuestProxyAgent", "wstr")
		P("CapabilityUsed", "WARN", "wstr")
		P("Context1", "a &lt; ]]&gt; &amp; &apos;", "wstr")
		P("Context2", "2026-01-02T03:04:05.678", "wstr")
		P("Context3", "op", "wstr")
		"]]></Event></Provider></TelemetryData>";
	/* clang-format on */
	struct mspd_event *report =
		new_event(MSPD_EVENT_REPORTED, "{\"a\":1}", 7);
	const char *text;
	size_t len;

	vm = (struct mspd_vm){ .tenant = "t",
			       .role = "r&d",
			       .instance = "i",
			       .container = "c",
			       .group = "g",
			       .subscription = "s",
			       .vm_id = "v",
			       .image = true,
			       .os = "Linux:D-12",
			       .arch = "x",
			       .ram_mb = 2048,
			       .processors = 2 };
	report->success = true;
	report->duration = 77;
	mspd_batch_start(batch, &vm);
	ck_assert_int_eq(mspd_batch_add(batch, report), MSPD_BATCH_ADDED);
	ck_assert_int_eq(add(MSPD_EVENT_GENERIC, "a < ]]> & '", 11),
			 MSPD_BATCH_ADDED);
	text = mspd_batch_finish(batch, &len);
	ck_assert_uint_eq(len, strlen(whole));
	ck_assert(memcmp(text, whole, len) == 0);
	free(report);
}
END_TEST

static bool contains(const char *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what)) != NULL;
}

START_TEST(batch_says_no_secret_and_no_forbidden_character)
{
	static const char message[] =
		"password=hunter2; sig=abc\x01\x1f\xff\xef\xbf\xbf!";
	const char *text;
	size_t len;

	mspd_batch_start(batch, &vm);
	ck_assert_int_eq(add(MSPD_EVENT_GENERIC, message, strlen(message)),
			 MSPD_BATCH_ADDED);
	text = mspd_batch_finish(batch, &len);
	ck_assert(contains(text, len, "[REDACTED]"));
	ck_assert(!contains(text, len, "hunter2"));
	ck_assert(!contains(text, len, "\x01"));
	ck_assert(!contains(text, len, "\xff"));
	ck_assert(!contains(text, len, "\xef\xbf\xbf"));
}
END_TEST

START_TEST(batch_is_shorter_than_64_kib)
{
	static char message[MSPD_EVENT_MESSAGE];
	size_t len;
	int n = 0;

	memset(message, 'm', sizeof(message));
	mspd_batch_start(batch, &vm);
	while (add(MSPD_EVENT_GENERIC, message, sizeof(message)) ==
	       MSPD_BATCH_ADDED)
		n++;
	ck_assert_int_ge(n, 10);
	ck_assert_int_eq(add(MSPD_EVENT_REPORTED, message, sizeof(message)),
			 MSPD_BATCH_FULL);
	ck_assert_ptr_nonnull(mspd_batch_finish(batch, &len));
	ck_assert_uint_lt(len, 65536);
	ck_assert_uint_gt(len, 65536 - 2 * sizeof(message));
}
END_TEST

START_TEST(batch_takes_no_event_that_no_batch_holds)
{
	static char message[MSPD_EVENT_REPORT];
	size_t len;

	memset(message, '&', sizeof(message));
	mspd_batch_start(batch, &vm);
	ck_assert_int_eq(add(MSPD_EVENT_REPORTED, message, sizeof(message)),
			 MSPD_BATCH_TOO_LARGE);
	ck_assert_ptr_null(mspd_batch_finish(batch, &len));
	ck_assert_int_eq(add(MSPD_EVENT_GENERIC, "m", 1), MSPD_BATCH_ADDED);
	ck_assert_int_eq(add(MSPD_EVENT_REPORTED, message, sizeof(message)),
			 MSPD_BATCH_TOO_LARGE);
}
END_TEST

/* ---- files ------------------------------------------------------------- */

static size_t count_files(void)
{
	struct dirent *entry;
	DIR *files = opendir(dir);
	size_t n = 0;

	while ((entry = readdir(files)))
		n += entry->d_name[0] != '.';
	closedir(files);
	return n;
}

static void push(enum mspd_event_kind kind, const char *message)
{
	ck_assert(mspd_events_push(&queue,
				   new_event(kind, message, strlen(message))));
}

static void assert_next(const char *message)
{
	struct mspd_event *event = mspd_events_pop(&queue);

	ck_assert_ptr_nonnull(event);
	ck_assert_str_eq(event->message, message);
	ck_assert_uint_eq(event->len, strlen(message));
	ck_assert_str_eq(event->task, "task");
	ck_assert_str_eq(event->operation, "op");
	ck_assert_str_eq(event->pid, "1");
	ck_assert_str_eq(event->tid, "00000002");
	ck_assert_str_eq(event->time, "2026-01-02T03:04:05.678");
	ck_assert_str_eq(event->version, "9.8.7");
	ck_assert_str_eq(event->level,
			 event->kind == MSPD_EVENT_GENERIC ? "WARN" : "");
	free(event);
}

START_TEST(files_give_back_what_was_kept)
{
	push(MSPD_EVENT_GENERIC, "one");
	push(MSPD_EVENT_REPORTED, "{\"state\": \"\xc3\xa9\"}");
	push(MSPD_EVENT_GENERIC, "two \"2\"\n\\");
	queue.first->next->success = true;
	queue.first->next->duration = 900000;
	ck_assert_uint_eq(mspd_event_files_write(dir, 30, &queue), 0);
	ck_assert_uint_eq(queue.n, 0);
	ck_assert_uint_eq(count_files(), 2);
	ck_assert(mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					&dropped));
	ck_assert_uint_eq(queue.n, 2);
	assert_next("two \"2\"\n\\"); /* in reverse */
	assert_next("one");
	ck_assert(mspd_event_files_read(dir, MSPD_EVENT_REPORTED, &queue,
					&dropped));
	ck_assert_str_eq(queue.first->name, "n");
	ck_assert_str_eq(queue.first->type, "Monitoring");
	ck_assert(queue.first->success);
	ck_assert(!queue.first->internal);
	ck_assert_uint_eq(queue.first->duration, 900000);
	assert_next("{\"state\": \"\xc3\xa9\"}");
	ck_assert_uint_eq(count_files(), 0);
	ck_assert(!mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					 &dropped));
}
END_TEST

START_TEST(files_are_private_and_without_secrets)
{
	char text[4096], path[512];
	struct dirent *entry;
	struct stat st;
	DIR *files;
	ssize_t n;
	int fd;

	push(MSPD_EVENT_GENERIC, "password=hunter2;");
	ck_assert_uint_eq(mspd_event_files_write(dir, 1, &queue), 0);
	files = opendir(dir);
	while ((entry = readdir(files)) && entry->d_name[0] == '.')
		;
	snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
	closedir(files);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text));
	close(fd);
	ck_assert_int_gt(n, 0);
	ck_assert(!contains(text, (size_t)n, "hunter2"));
	ck_assert(contains(text, (size_t)n, "[REDACTED]"));
}
END_TEST

START_TEST(files_are_as_many_as_configured)
{
	size_t i;

	for (i = 0; i < 5; i++) {
		push(MSPD_EVENT_GENERIC, "a");
		push(MSPD_EVENT_GENERIC, "b");
		ck_assert_uint_eq(mspd_event_files_write(dir, 3, &queue),
				  i < 3 ? 0 : 2);
	}
	ck_assert_uint_eq(count_files(), 3);
	push(MSPD_EVENT_GENERIC, "c");
	ck_assert_uint_eq(mspd_event_files_write("", 3, &queue), 1);
	ck_assert_uint_eq(queue.n, 0);
}
END_TEST

static const struct {
	const char *name;
	const char *text;
	mode_t mode;
	size_t events;
	size_t dropped;
	bool stays;
} broken[] = {
	{ "1.json", "[]", 0600, 0, 0, false },
	{ "1.json", "garbage", 0600, 0, 1, false },
	{ "1.json", "", 0600, 0, 1, false },
	{ "1.json", "[{\"Message\":\"m\",\"TimeStamp\":\"t\"}", 0600, 1, 1,
	  false },
	{ "1.json", "[{\"Message\":7,\"TimeStamp\":\"t\"}]", 0600, 0, 0,
	  false },
	{ "1.json", "[{\"Message\":\"m\"}]", 0600, 0, 0, false },
	{ "1.json", "[[[[[[{\"Message\":\"m\",\"TimeStamp\":\"t\"}]]]]]]", 0600,
	  0, 1, false },
	{ "1.json", "\"Message\"", 0600, 0, 0, false },
	{ "1.json", "[\"Message\", true, 1]", 0600, 0, 0, false },
	/* outside any event, behind the name of a member of one */
	{ "1.json", "[{\"Message\":\"m\",\"TimeStamp\":\"t\"},\"x\"]", 0600, 1,
	  0, false },
	/* somebody else could have written it */
	{ "1.json", "[{\"Message\":\"m\",\"TimeStamp\":\"t\"}]", 0666, 0, 1,
	  false },
	{ "1.txt", "[]", 0600, 0, 0, true },
	{ "x1.json", "[]", 0600, 0, 0, true },
	{ "extension_1.json", "{}", 0600, 0, 0, true },
};

START_TEST(files_that_are_wrong_are_removed_and_harmless)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, broken[_i].name);
	f = fopen(path, "we");
	fputs(broken[_i].text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, broken[_i].mode), 0);
	ck_assert_int_eq(mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					       &dropped),
			 !broken[_i].stays);
	ck_assert_uint_eq(queue.n, broken[_i].events);
	ck_assert_uint_eq(dropped, broken[_i].dropped);
	ck_assert_uint_eq(count_files(), broken[_i].stays ? 1 : 0);
}
END_TEST

/* More than a queue has room for, in a file that is not too long. */
START_TEST(events_that_find_no_room_are_counted)
{
	char path[512];
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "%s/1.json", dir);
	f = fopen(path, "we");
	for (i = 0; i < MSPD_EVENTS_MAX + 7; i++)
		fprintf(f, "%s{\"Message\":\"m\",\"TimeStamp\":\"t\"}",
			i ? "," : "[");
	fputs("]", f);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0600), 0);
	push(MSPD_EVENT_GENERIC, "first");
	ck_assert(mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					&dropped));
	ck_assert_uint_eq(queue.n, MSPD_EVENTS_MAX);
	ck_assert_uint_eq(dropped, 7 + 1);
	mspd_events_clear(&queue);
}
END_TEST

START_TEST(directory_is_in_no_files_way)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/1.json", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert(!mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					 &dropped));
	push(MSPD_EVENT_GENERIC, "one");
	ck_assert_uint_eq(mspd_event_files_write(dir, 1, &queue), 0);
	ck_assert(mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					&dropped));
	assert_next("one");
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(file_that_is_a_link_is_not_followed)
{
	char path[512], target[512];
	FILE *f;

	snprintf(target, sizeof(target), "%s/target", dir);
	f = fopen(target, "we");
	fputs("[{\"Message\":\"m\",\"TimeStamp\":\"t\"}]", f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/1.json", dir);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert(mspd_event_files_read(dir, MSPD_EVENT_GENERIC, &queue,
					&dropped));
	ck_assert_uint_eq(queue.n, 0);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_telemetry");
	TCase *tc = tcase_create("telemetry");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, xml_text_is_taken_or_refused, 0, COUNT(texts));
	tcase_add_loop_test(tc, xml_attribute_is_taken_or_refused, 0,
			    COUNT(attributes));
	tcase_add_test(tc, xml_cut_anywhere_is_harmless);
	tcase_add_test(
		tc, shared_configuration_gives_tenant_role_and_first_instance);
	tcase_add_loop_test(tc, instance_metadata_is_taken_or_refused, 0,
			    COUNT(computes));
	tcase_add_loop_test(tc, goal_state_sends_nobody_elsewhere, 0,
			    COUNT(urls));
	tcase_add_test(tc, batch_is_the_document_of_the_protocol);
	tcase_add_test(tc, batch_says_no_secret_and_no_forbidden_character);
	tcase_add_test(tc, batch_is_shorter_than_64_kib);
	tcase_add_test(tc, batch_takes_no_event_that_no_batch_holds);
	tcase_add_test(tc, files_give_back_what_was_kept);
	tcase_add_test(tc, files_are_private_and_without_secrets);
	tcase_add_test(tc, files_are_as_many_as_configured);
	tcase_add_loop_test(tc, files_that_are_wrong_are_removed_and_harmless,
			    0, COUNT(broken));
	tcase_add_test(tc, file_that_is_a_link_is_not_followed);
	tcase_add_test(tc, events_that_find_no_room_are_counted);
	tcase_add_test(tc, directory_is_in_no_files_way);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
