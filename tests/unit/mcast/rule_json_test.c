/* with: src/mcast/common/rule_json.c src/mcast/core/ip.c src/mcast/core/place.c */
/* with: src/mcast/core/rule.c src/mcast/core/rule_check.c src/mcast/core/show.c */
/* with: src/mcast/core/siphash.c */
/* Rules as JSON, there and back, and each refusal with its line. In the texts ' stands for ". */
#include "mcast/common/rule_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX 2048

static json_t *json_of(const char *text)
{
	char quoted[TEXT_MAX];
	json_error_t error;
	json_t *json;

	assert_true((size_t)snprintf(quoted, sizeof(quoted), "%s", text) < sizeof(quoted));
	for (char *at = quoted; *at; at++)
		if (*at == '\'')
			*at = '"';
	json = json_loads(quoted, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY,
			  &error);
	if (!json)
		fail_msg("%s: %s", text, error.text);
	return json;
}

static void assert_becomes(const char *in, const char *out)
{
	json_t *json = json_of(in), *expected = json_of(out), *got;
	char why[WHY_BYTES_MAX] = "";
	struct rule r;

	if (rule_from_json(json, &r, why))
		fail_msg("%s: refused: %s", in, why);
	got = rule_to_json(&r);
	if (!json_equal(got, expected))
		fail_msg("%s: became %s", in, json_dumps(got, 0));
	rule_done(&r);
	json_decref(json);
	json_decref(expected);
	json_decref(got);
}

static void assert_same(const char *text)
{
	assert_becomes(text, text);
}

static void assert_refused(const char *text, const char *expected)
{
	json_t *json = json_of(text);
	struct rule r = {.input_count = 77};
	char why[WHY_BYTES_MAX] = "";

	assert_int_equal(rule_from_json(json, &r, why), -EINVAL);
	assert_string_equal(why, expected);
	assert_int_equal(r.input_count, 77);
	json_decref(json);
}

#define INPUT "{'interface': 'br0', 'group': '239.1.1.1', 'port': 5001}"
#define OUTPUT "{'address': '239.10.1.1', 'port': 6001, 'interface': 'br1'}"
#define RULE(inputs, more, outputs) \
	"{'name': 'tv1', 'inputs': [" inputs "], " more "'outputs': [" outputs "]}"
#define WITH_INPUT(input) RULE(input, "", OUTPUT)
#define WITH_OUTPUT(output) RULE(INPUT, "", OUTPUT ", " output)

static void there_and_back(void **state)
{
	(void)state;
	assert_same(RULE(INPUT, "", OUTPUT));
	assert_same(RULE("{'interface': 'br0', 'group': 'ff3e::1', 'port': 1, "
			 "'source': '2001:db8::1'}, " INPUT,
			 "'match': 'content', ",
			 OUTPUT ", {'address': '10.0.0.1', 'port': 65535, 'ttl': 255, "
				"'source': '10.0.0.2'}"));
	assert_becomes(RULE(INPUT, "'match': 'none', ", OUTPUT), RULE(INPUT, "", OUTPUT));
	assert_becomes("{'inputs': [" INPUT "], 'outputs': [" OUTPUT "]}",
		       "{'name': '239.1.1.1:5001@br0', 'inputs': [" INPUT "], 'outputs': [" OUTPUT
		       "]}");
}

static void the_rule_itself(void **state)
{
	(void)state;
	assert_refused("[1]", "rule: a list, expected an object");
	assert_refused("{'outputs': [" OUTPUT "]}",
		       "inputs: missing, expected a list of 1 to 2 objects");
	assert_refused("{'inputs': [" INPUT "]}",
		       "outputs: missing, expected a list of 1 to 512 objects");
	assert_refused(RULE("", "", OUTPUT), "inputs: a list, expected a list of 1 to 2 objects");
	assert_refused("{'inputs': [" INPUT "], 'outputs': {}}",
		       "outputs: an object, expected a list of 1 to 512 objects");
	assert_refused(RULE(INPUT, "'matches': 1, ", OUTPUT),
		       "\"matches\": unknown key, expected one of name, inputs, match, outputs");
	assert_refused(RULE(INPUT, "'match': 'RTP', ", OUTPUT),
		       "match: \"RTP\", expected \"none\", \"rtp\" or \"content\"");
	assert_refused(RULE(INPUT, "'match': null, ", OUTPUT),
		       "match: null, expected \"none\", \"rtp\" or \"content\"");
	assert_refused(RULE(INPUT, "'match': 'rtp', ", OUTPUT),
		       "match: rtp, expected none with one input");
}

static void names(void **state)
{
	(void)state;
	assert_refused("{'name': ''}", "name: \"\", expected a text of 1 to 63 bytes");
	assert_refused("{'name': 5}", "name: 5, expected a text of 1 to 63 bytes");
	assert_refused("{'name': 'a\\u0000b'}", "name: \"a\", expected a text of 1 to 63 bytes");
	assert_refused("{'name': "
		       "'1234567890123456789012345678901234567890123456789012345678901234567890'}",
		       "name: "
		       "\"123456789012345678901234567890123456789012345678901234567890123456\"..."
		       ", expected a text of 1 to 63 bytes");
	assert_refused("{'name': 'a b', 'inputs': [" INPUT "], 'outputs': [" OUTPUT "]}",
		       "name: \"a b\", expected 1 to 63 printable characters without spaces, "
		       "quotes and backslashes");
}

static void inputs(void **state)
{
	(void)state;
	assert_refused(WITH_INPUT("5"), "inputs[0]: 5, expected an object");
	assert_refused(WITH_INPUT("{'group': '239.1.1.1', 'port': 5001}"),
		       "inputs[0].interface: \"\", expected an interface's name of 1 to 15 bytes");
	assert_refused(WITH_INPUT("{'interface': '1234567890123456', 'port': 5001}"),
		       "inputs[0].interface: \"1234567890123456\", expected a text of 1 to 15 "
		       "bytes");
	assert_refused(WITH_INPUT("{'group': 'tv', 'port': 5001}"),
		       "inputs[0].group: \"tv\", expected an IPv4 or IPv6 address");
	assert_refused(WITH_INPUT("{'group': '239.1.1.1\\u0000', 'port': 5001}"),
		       "inputs[0].group: \"239.1.1.1\", expected an IPv4 or IPv6 address");
	assert_refused(WITH_INPUT("{'interface': 'br0', 'port': 5001}"),
		       "inputs[0].group: missing, expected a multicast group");
	assert_refused(WITH_INPUT("{'group': '239.1.1.1'}"),
		       "inputs[0].port: missing, expected 1 to 65535");
	assert_refused(WITH_INPUT("{'port': '5001'}"),
		       "inputs[0].port: \"5001\", expected 1 to 65535");
	assert_refused(WITH_INPUT("{'port': 65537}"), "inputs[0].port: 65537, expected 1 to 65535");
	assert_refused(WITH_INPUT("{'port': 80.5}"), "inputs[0].port: a real, expected 1 to 65535");
	assert_refused(WITH_INPUT("{'ttl': 5}"), "inputs[0].\"ttl\": unknown key, expected one of "
						 "interface, group, port, source");
}

static void outputs(void **state)
{
	(void)state;
	assert_refused(WITH_OUTPUT("{'port': 6001}"),
		       "outputs[1].address: missing, expected a group or a host's address");
	assert_refused(WITH_OUTPUT("{'address': '10.0.0.1', 'port': 0}"),
		       "outputs[1].port: 0, expected 1 to 65535");
	assert_refused(WITH_OUTPUT("{'address': '10.0.0.1', 'port': 1, 'ttl': 0}"),
		       "outputs[1].ttl: 0, expected 1 to 255");
	assert_refused(WITH_OUTPUT("{'address': '10.0.0.1', 'port': 1, 'ttl': 256}"),
		       "outputs[1].ttl: 256, expected 1 to 255");
	assert_refused(WITH_OUTPUT("{'address': '10.0.0.1', 'port': 1, 'ttl': true}"),
		       "outputs[1].ttl: true, expected 1 to 255");
	assert_refused(WITH_OUTPUT("{'address': '10.0.0.1', 'port': 1, 'source': ''}"),
		       "outputs[1].source: \"\", expected an IPv4 or IPv6 address");
	assert_refused(WITH_OUTPUT("{'a\\nb': 1}"),
		       "outputs[1].\"a?b\": unknown key, expected one of address, port, interface, "
		       "ttl, source");
	assert_refused(WITH_OUTPUT(OUTPUT),
		       "outputs[1]: the same as outputs[0], expected each once");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back), cmocka_unit_test(the_rule_itself),
		cmocka_unit_test(names),	  cmocka_unit_test(inputs),
		cmocka_unit_test(outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
