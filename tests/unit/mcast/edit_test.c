/* with: src/mcast/client/edit.c src/mcast/common/rule_json.c */
/* with: src/mcast/core/ip.c src/mcast/core/place.c src/mcast/core/rule.c */
/* with: src/mcast/core/rule_check.c src/mcast/core/show.c src/mcast/core/siphash.c */
/* Rules in words: the requests that come of good ones, and the one line that comes of bad ones. */
#include "mcast/client/edit.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WORDS_MAX 40
#define INPUT "--input-interface br0 --input-group 239.1.1.1 --input-port 5001"
#define JSON_INPUT "{\"interface\":\"br0\",\"group\":\"239.1.1.1\",\"port\":5001}"
#define JSON_SECOND "{\"interface\":\"br9\",\"group\":\"239.1.1.1\",\"port\":5001}"
#define OUTPUT "--outputs 239.10.1.1:6001:br1"
#define JSON_OUTPUT "{\"address\":\"239.10.1.1\",\"port\":6001,\"interface\":\"br1\"}"

/* As the shell would: words end at blanks. */
static int parse(const char *line, struct edit *ret, char why[WHY_BYTES_MAX])
{
	char *words[WORDS_MAX], *rest = NULL, *copy = strdup(line);
	size_t count = 0;
	int err;

	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		assert_true(count < WORDS_MAX);
		words[count++] = w;
	}
	err = edit_parse(count, words, ret, why);
	free(copy);
	return err;
}

static void expect_request(const char *line, const json_t *names, const char *expected)
{
	char why[WHY_BYTES_MAX] = "";
	json_t *request, *wanted = json_loads(expected, 0, NULL);
	struct edit e;

	assert_non_null(wanted);
	assert_int_equal(parse(line, &e, why), 0);
	request = edit_request(&e, names);
	if (!json_equal(request, wanted)) {
		char *text = json_dumps(request, JSON_COMPACT);

		assert_string_equal(text, expected);
	}
	json_decref(request);
	json_decref(wanted);
	edit_done(&e);
}

static void good_words_become_requests(void **state)
{
	(void)state;
	expect_request("add " INPUT " " OUTPUT, NULL,
		       "{\"op\":\"add\",\"rule\":{\"name\":\"239.1.1.1:5001@br0\",\"inputs\":"
		       "[" JSON_INPUT "],\"outputs\":[" JSON_OUTPUT "]}}");
	expect_request("change --name=tv1 --outputs=239.10.1.1:6001:br1,[ff15::1]:6002:br2,"
		       "10.0.0.5:6003,[fd00::5]:6004,10.0.0.6:6005:br3 " INPUT,
		       NULL,
		       "{\"op\":\"change\",\"rule\":{\"name\":\"tv1\",\"inputs\":[" JSON_INPUT
		       "],\"outputs\":[" JSON_OUTPUT
		       ",{\"address\":\"ff15::1\",\"port\":6002,\"interface\":\"br2\"},"
		       "{\"address\":\"10.0.0.5\",\"port\":6003},"
		       "{\"address\":\"fd00::5\",\"port\":6004},"
		       "{\"address\":\"10.0.0.6\",\"port\":6005,\"interface\":\"br3\"}]}}");
	expect_request("add --name a " INPUT " " OUTPUT " --ttl 255 --output-source 10.0.0.1", NULL,
		       "{\"op\":\"add\",\"rule\":{\"name\":\"a\",\"inputs\":[" JSON_INPUT
		       "],\"outputs\":[{\"address\":\"239.10.1.1\",\"port\":6001,\"interface\":"
		       "\"br1\",\"ttl\":255,\"source\":\"10.0.0.1\"}]}}");
}

static void a_second_input_is_as_the_first(void **state)
{
	(void)state;
	expect_request("add --name a " INPUT " " OUTPUT " --second-interface br9", NULL,
		       "{\"op\":\"add\",\"rule\":{\"name\":\"a\",\"match\":\"content\",\"inputs\":"
		       "[" JSON_INPUT "," JSON_SECOND "],\"outputs\":[" JSON_OUTPUT "]}}");
	expect_request("add --name a " INPUT " " OUTPUT " --source 10.0.0.9 --second-interface br0 "
		       "--second-group 239.1.1.2 --second-port 7 --second-source 10.0.0.8 "
		       "--match rtp",
		       NULL,
		       "{\"op\":\"add\",\"rule\":{\"name\":\"a\",\"match\":\"rtp\",\"inputs\":["
		       "{\"interface\":\"br0\",\"group\":\"239.1.1.1\",\"port\":5001,"
		       "\"source\":\"10.0.0.9\"},{\"interface\":\"br0\",\"group\":\"239.1.1.2\","
		       "\"port\":7,\"source\":\"10.0.0.8\"}],\"outputs\":[" JSON_OUTPUT "]}}");
}

static void what_is_removed_is_found_by_its_input(void **state)
{
	json_t *rules =
		json_loads("[{\"name\":\"tv1\",\"inputs\":[" JSON_INPUT "," JSON_SECOND "]},"
			   "{\"name\":7,\"inputs\":[" JSON_INPUT "]},{\"name\":\"b\","
			   "\"inputs\":[7,{},{\"interface\":\"br0\",\"group\":\"x\"}]},7]",
			   0, NULL);
	json_t *names = edit_names(rules);

	(void)state;
	expect_request("remove tv9", names, "{\"op\":\"remove\",\"name\":\"tv9\"}");
	expect_request("remove --name tv9", names, "{\"op\":\"remove\",\"name\":\"tv9\"}");
	expect_request("remove " INPUT, names, "{\"op\":\"remove\",\"name\":\"tv1\"}");
	expect_request("remove --input-interface br9 --input-group 239.1.1.1 --input-port 5001",
		       names, "{\"op\":\"remove\",\"name\":\"tv1\"}");
	expect_request("remove " INPUT, NULL,
		       "{\"op\":\"remove\",\"name\":\"239.1.1.1:5001@br0\"}");
	expect_request("remove " INPUT " --source 10.0.0.9", names,
		       "{\"op\":\"remove\",\"name\":\"10.0.0.9/239.1.1.1:5001@br0\"}");
	json_decref(names);
	json_decref(rules);
}

static void bad_words_are_said(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"dance", "\"dance\", expected add, change or remove"},
		{"add", "add: --input-interface is missing, expected --input-interface=IF"},
		{"add " INPUT, "add: --outputs is missing"},
		{"add " INPUT " " OUTPUT " now", "add: \"now\" is one too many, expected options"},
		{"add --dance 1", "add: option \"--dance\" is not known"},
		{"add --ttl 1 --ttl 2", "--ttl: given twice"},
		{"add --ttl", "--ttl: no value, expected N"},
		{"add " INPUT " " OUTPUT " --ttl 0", "--ttl \"0\": expected 1 to 255"},
		{"add " INPUT " " OUTPUT " --ttl=", "--ttl \"\": expected 1 to 255"},
		{"add " INPUT " " OUTPUT " --output-source x",
		 "--output-source \"x\": expected an IPv4"},
		{"add " INPUT " " OUTPUT " --output-source fd00::1", "outputs[0].source: fd00::1"},
		{"add " INPUT " " OUTPUT " --source 239.1.1.9", "inputs[0].source: 239.1.1.9"},
		{"add " INPUT " " OUTPUT " --second-port 7",
		 "--second-port: there is one input, expected --second-interface, too"},
		{"add " INPUT " " OUTPUT " --match rtp", "--match: there is one input"},
		{"add " INPUT " " OUTPUT " --second-interface br1 --match none",
		 "--match \"none\": expected rtp or content"},
		{"add " INPUT " " OUTPUT " --second-interface br0",
		 "inputs[1]: the same as inputs[0]"},
		{"add " INPUT " " OUTPUT " --name=", "--name \"\": 0 bytes, expected 1 to 63"},
		{"add " INPUT " " OUTPUT " --name a\"b", "name: "},
		{"change " INPUT " " OUTPUT, "change: --name is missing"},
		{"add --input-interface a123456789012345 --input-group 239.1.1.1 --input-port "
		 "1 " OUTPUT,
		 "--input-interface \"a123456789012345\": 16 bytes, expected 1 to 15"},
		{"add --input-interface a --input-group 10.0.0.1 --input-port 1 " OUTPUT,
		 "--input-group \"10.0.0.1\": expected a multicast group"},
		{"add --input-interface a --input-group 239.1.1.1 --input-port 65536 " OUTPUT,
		 "--input-port \"65536\": expected a port from 1 to 65535"},
		{"add " INPUT " --outputs 239.10.1.1",
		 "--outputs \"239.10.1.1\": expected GROUP:PORT"},
		{"add " INPUT " --outputs ff15::1:6001:br1", "with an IPv6 address in brackets"},
		{"add " INPUT " --outputs [10.0.0.1]:6001", "with an IPv6 address in brackets"},
		{"add " INPUT " --outputs [ff15::1]6001:br1", "with an IPv6 address in brackets"},
		{"add " INPUT " --outputs [ff15::1", "with an IPv6 address in brackets"},
		{"add " INPUT " --outputs 10.0.0.1:0", "expected a port from 1 to 65535"},
		{"add " INPUT " --outputs 239.10.1.1:1", "expected \":INTERFACE\" behind a group"},
		{"add " INPUT " --outputs 10.0.0.1:1:", "expected an interface's name of 1 to 15"},
		{"add " INPUT " --outputs 10.0.0.1:1,", "--outputs \"\": expected GROUP:PORT"},
		{"add " INPUT " --outputs 10.0.0.1:1,10.0.0.1:1",
		 "outputs[1]: the same as outputs[0]"},
		{"add " INPUT " --outputs 239.1.1.1:5001:br0", "outputs[0]: a loop"},
		{"remove", "remove: --input-interface is missing"},
		{"remove a b", "remove: \"b\" is one too many"},
		{"remove a --name b", "remove: two names, expected one"},
		{"remove a " INPUT, "remove: a name and --input-interface"},
		{"remove a " OUTPUT, "remove: --outputs says nothing of it"},
		{"remove a\x80", "--name \"...\": expected printable characters"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[WHY_BYTES_MAX] = "";
		struct edit e;

		assert_int_equal(parse(cases[i].line, &e, why), -EINVAL);
		if (!strstr(why, cases[i].why))
			assert_string_equal(why, cases[i].why);
	}
}

/* The longest list of outputs that a line to the relay can hold, and one that it cannot. */
static void outputs_are_bounded(void **state)
{
	char *list = NULL, *words[] = {"add", "--input-interface=br0", "--input-group=239.1.1.1",
				       "--input-port=5001", NULL};
	char why[WHY_BYTES_MAX];
	struct edit e;
	size_t len;
	FILE *f;

	(void)state;
	for (unsigned count = RULE_OUTPUTS_MAX; count <= RULE_OUTPUTS_MAX + 1; count++) {
		f = open_memstream(&list, &len);
		fputs("--outputs=", f);
		for (unsigned i = 0; i < count; i++)
			fprintf(f, "%s239.10.%u.%u:65535:interface012345", i ? "," : "", i / 250,
				i % 250);
		fclose(f);
		words[4] = list;
		if (count > RULE_OUTPUTS_MAX) {
			assert_int_equal(edit_parse(5, words, &e, why), -EINVAL);
			assert_string_equal(why, "--outputs: more than 512, expected fewer");
		} else {
			assert_int_equal(edit_parse(5, words, &e, why), 0);
			edit_done(&e);
		}
		free(list);
	}
}

/* With IPv6 and a source, fewer outputs fill a line to the relay. */
static void a_line_too_long_is_said(void **state)
{
	char *list = NULL, *words[] = {"add",
				       "--input-interface=br0",
				       "--input-group=239.1.1.1",
				       "--input-port=5001",
				       NULL,
				       "--output-source=fd00:1000:1000:1000:1000:1000:1000:1000"};
	char why[WHY_BYTES_MAX];
	struct edit e;
	size_t len;
	FILE *f = open_memstream(&list, &len);

	(void)state;
	fputs("--outputs=", f);
	for (unsigned i = 0; i < RULE_OUTPUTS_MAX; i++)
		fprintf(f, "%s[ff15:1000:1000:1000:1000:1000:1000:%x]:65535:interface012345",
			i ? "," : "", i + 4096);
	fclose(f);
	words[4] = list;
	assert_int_equal(edit_parse(6, words, &e, why), -EINVAL);
	assert_non_null(strstr(why, "--outputs: 512 of them are "));
	assert_non_null(strstr(why, " bytes to send, expected 65536 or less: fewer outputs"));
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_words_become_requests),
		cmocka_unit_test(a_second_input_is_as_the_first),
		cmocka_unit_test(what_is_removed_is_found_by_its_input),
		cmocka_unit_test(bad_words_are_said),
		cmocka_unit_test(outputs_are_bounded),
		cmocka_unit_test(a_line_too_long_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
