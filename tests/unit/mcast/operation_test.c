/* with: src/mcast/client/operation.c src/mcast/client/edit.c src/mcast/common/rule_json.c */
/* with: src/mcast/core/ip.c src/mcast/core/place.c src/mcast/core/rule.c */
/* with: src/mcast/core/rule_check.c src/mcast/core/show.c src/mcast/core/siphash.c */
/* Operations of control_client: the requests that come of good arguments, and the one line that
 * comes of bad ones. */
#include "mcast/client/operation.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ARGV_MAX 8

static int count(char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return argc;
}

static void good_arguments_become_requests(void **state)
{
	static const struct {
		char *argv[ARGV_MAX];
		const char *request;
	} cases[] = {
		{{"ping"}, "{\"op\":\"ping\"}"},
		{{"workers"}, "{\"op\":\"workers\"}"},
		{{"reload"}, "{\"op\":\"reload\"}"},
		{{"detach"}, "{\"op\":\"detach\"}"},
		{{"shutdown"}, "{\"op\":\"shutdown\"}"},
		{{"stats", "tv1"}, "{\"op\":\"stats\",\"name\":\"tv1\"}"},
		{{"move", "tv1", "63"}, "{\"op\":\"move\",\"name\":\"tv1\",\"worker\":63}"},
		{{"restart-worker", "0"}, "{\"op\":\"restart-worker\",\"worker\":0}"},
		{{"save"}, "{\"op\":\"save\"}"},
		{{"save", "/a/b"}, "{\"op\":\"save\",\"file\":\"/a/b\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[WHY_BYTES_MAX], *text;
		struct command c;

		assert_int_equal(operation_parse(count(cases[i].argv), cases[i].argv, &c, why), 0);
		assert_int_equal(c.kind, OPERATION_ASK);
		text = json_dumps(c.request, JSON_COMPACT);
		assert_string_equal(text, cases[i].request);
		free(text);
		operation_done(&c);
	}
}

/* So that a relay in another folder knows which file is meant. */
static void files_get_their_folder(void **state)
{
	char *argv[] = {"save", "rules.conf", NULL}, why[WHY_BYTES_MAX];
	char expected[4200], *folder = getcwd(NULL, 0);
	struct command c;

	(void)state;
	assert_int_equal(operation_parse(2, argv, &c, why), 0);
	snprintf(expected, sizeof(expected), "%.4096s/rules.conf", folder);
	assert_string_equal(json_string_value(json_object_get(c.request, "file")), expected);
	operation_done(&c);
	free(folder);
}

static void what_is_no_single_request(void **state)
{
	char *list[] = {"list", NULL}, *stats[] = {"stats", "--watch", "500ms", NULL};
	char *one[] = {"stats", "tv1", "--watch=2s", NULL}, *batch[] = {"batch", "-", NULL};
	char *removal[] = {"remove", "tv1", NULL}, why[WHY_BYTES_MAX];
	struct command c;

	(void)state;
	assert_int_equal(operation_parse(1, list, &c, why), 0);
	assert_int_equal(c.kind, OPERATION_ALL);
	assert_string_equal(c.list, "rules");
	operation_done(&c);
	assert_int_equal(operation_parse(3, stats, &c, why), 0);
	assert_int_equal(c.kind, OPERATION_ALL);
	assert_string_equal(c.list, "streams");
	assert_int_equal(c.watch_ms, 500);
	operation_done(&c);
	assert_int_equal(operation_parse(3, one, &c, why), 0);
	assert_int_equal(c.kind, OPERATION_ASK);
	assert_int_equal(c.watch_ms, 2000);
	operation_done(&c);
	assert_int_equal(operation_parse(2, batch, &c, why), 0);
	assert_int_equal(c.kind, OPERATION_BATCH);
	assert_string_equal(c.file, "-");
	operation_done(&c);
	assert_int_equal(operation_parse(2, removal, &c, why), 0);
	assert_int_equal(c.kind, OPERATION_EDIT);
	assert_int_equal(c.edit.kind, EDIT_REMOVE);
	assert_string_equal(c.edit.rule.name, "tv1");
	operation_done(&c);
}

static void bad_arguments_are_said(void **state)
{
	static const struct {
		char *argv[ARGV_MAX];
		const char *why;
	} cases[] = {
		{{"dance"}, "operation \"dance\": expected add, change"},
		{{""}, "operation \"\": expected"},
		{{"ping", "now"}, "ping: \"now\" is one too many"},
		{{"list", "tv1"}, "list: \"tv1\" is one too many"},
		{{"stats", "tv1", "tv2"}, "stats: \"tv2\", expected [NAME] [--watch=TIME]"},
		{{"stats", "--dance"}, "stats: \"--dance\", expected"},
		{{"stats", "--watch"}, "--watch: no value"},
		{{"stats", "--watch=0"}, "--watch \"0\": expected a time from 100ms"},
		{{"stats", "\xff"}, "stats: a name that is no text"},
		{{"move", "tv1"}, "move: 1 arguments, expected NAME WORKER"},
		{{"move", "tv1", "64"}, "worker \"64\": expected a number from 0 to 63"},
		{{"move", "\xff", "1"}, "move: a name that is no text"},
		{{"restart-worker"}, "restart-worker: 0 arguments, expected WORKER"},
		{{"restart-worker", "-1"}, "worker \"-1\": expected a number"},
		{{"save", "a", "b"}, "save: \"b\" is one too many"},
		{{"save", ""}, "save: \"\", expected the name of a file"},
		{{"save", "/\xff"}, "save: a name that is no text"},
		{{"batch"}, "batch: 0 arguments, expected FILE"},
		{{"add", "--ttl"}, "--ttl: no value"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[WHY_BYTES_MAX] = "";
		struct command c;

		assert_int_equal(operation_parse(count(cases[i].argv), cases[i].argv, &c, why),
				 -EINVAL);
		if (!strstr(why, cases[i].why))
			assert_string_equal(why, cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_arguments_become_requests),
		cmocka_unit_test(files_get_their_folder),
		cmocka_unit_test(what_is_no_single_request),
		cmocka_unit_test(bad_arguments_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
