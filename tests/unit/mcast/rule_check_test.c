/* with: src/mcast/core/ip.c src/mcast/core/place.c src/mcast/core/rule.c */
/* with: src/mcast/core/rule_check.c src/mcast/core/show.c src/mcast/core/siphash.c */
/* Each rule of validation: a good rule, one thing made wrong in it, and the line that says so. */
#include "rules.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct rule rule;
	struct rule_output outputs[RULE_OUTPUTS_MAX + 1];
};

/* Good: IPv4 with a source, to a group and to a host. */
static int set_up(void **state)
{
	static struct fixture f;
	struct rule *r = &f.rule;

	*r = (struct rule){.name = "tv1", .input_count = 1, .outputs = f.outputs};
	r->inputs[0] = input("br0", "239.1.1.1", 5001, "10.0.0.9");
	f.outputs[0] = output("br1", "239.10.1.1", 6001);
	f.outputs[1] = output("", "10.1.0.7", 6001);
	r->output_count = 2;
	*state = r;
	return 0;
}

static void set_name(struct rule *r, const char *name)
{
	snprintf(r->name, sizeof(r->name), "%s", name);
}

static void second_input(struct rule *r)
{
	r->inputs[1] = input("br9", "239.1.1.1", 5001, "10.0.0.9");
	r->input_count = 2;
	r->match = RULE_MATCH_RTP;
}

static void assert_good(const struct rule *r)
{
	char why[WHY_BYTES_MAX] = "";

	if (rule_check(r, why))
		fail_msg("refused: %s", why);
}

static void assert_refused(const struct rule *r, const char *expected)
{
	char why[WHY_BYTES_MAX] = "";

	assert_int_equal(rule_check(r, why), -EINVAL);
	assert_string_equal(why, expected);
}

static void good_rules(void **state)
{
	struct rule *r = *state;

	assert_good(r);
	r->inputs[0].source = ip("");
	assert_good(r);
	second_input(r);
	assert_good(r);
	r->match = RULE_MATCH_CONTENT;
	assert_good(r);
	r->outputs[0].source = ip("10.9.9.9");
	r->outputs[0].ttl = 255;
	assert_good(r);
	r->inputs[0] = input("eth0.100", "ff3e::1", 1, "2001:db8::1");
	r->inputs[1].port = 65535;
	r->outputs[0] = output("lo", "ff02::7", 65535);
	r->outputs[1] = output("br1", "fe80::1", 9);
	assert_good(r);
}

static void names(void **state)
{
	struct rule *r = *state;

	set_name(r, "10.0.0.9/[ff3e::1]:5001@br0~%+_-.");
	assert_good(r);
	memset(r->name, 'x', RULE_NAME_MAX);
	r->name[RULE_NAME_MAX - 1] = '\0';
	assert_good(r);
#define NAME(shown)                                                               \
	"name: " shown ", expected 1 to 63 printable characters without spaces, " \
	"quotes and backslashes"
	set_name(r, "");
	assert_refused(r, NAME("\"\""));
	set_name(r, "tv 1");
	assert_refused(r, NAME("\"tv 1\""));
	set_name(r, "tv\t\n");
	assert_refused(r, NAME("\"tv??\""));
	set_name(r, "tv\xc3\xa4");
	assert_refused(r, NAME("\"tv??\""));
	set_name(r, "a\"b");
	assert_refused(r, NAME("\"a\"b\""));
	set_name(r, "a\\b");
	assert_refused(r, NAME("\"a\\b\""));
	memset(r->name, 'x', RULE_NAME_MAX);
	assert_int_equal(rule_check(r, (char[WHY_BYTES_MAX]){0}), -EINVAL);
}

static void inputs(void **state)
{
	struct rule *r = *state;

	r->inputs[0].group = ip("10.0.0.1");
	assert_refused(r, "inputs[0].group: 10.0.0.1, expected a multicast group");
	r->inputs[0].group = ip("");
	assert_refused(r, "inputs[0].group: missing, expected a multicast group");
	r->inputs[0].group = ip("2001:db8::1");
	assert_refused(r, "inputs[0].group: 2001:db8::1, expected a multicast group");
	r->inputs[0] = input("br0", "239.1.1.1", 0, "");
	assert_refused(r, "inputs[0].port: 0, expected 1 to 65535");
	r->inputs[0].port = 1;
	r->input_count = 0;
	assert_refused(r, "inputs: 0, expected 1 or 2");
	r->input_count = 3;
	assert_refused(r, "inputs: 3, expected 1 or 2");
}

static void interfaces(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "a:1", "a b", "a\"", "a\n"};
	struct rule *r = *state;
	char why[WHY_BYTES_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r->inputs[0] = input(bad[i], "239.1.1.1", 5001, "");
		assert_int_equal(rule_check(r, why), -EINVAL);
		assert_memory_equal(why, "inputs[0].interface: ", 21);
	}
	assert_refused(r, "inputs[0].interface: \"a?\", expected an interface's name of 1 to 15 "
			  "bytes");
	memset(r->inputs[0].interface, 'x', RULE_INTERFACE_MAX);
	assert_int_equal(rule_check(r, why), -EINVAL);
	r->inputs[0].interface[RULE_INTERFACE_MAX - 1] = '\0';
	assert_good(r);
	r->outputs[1] = output("a b", "10.1.0.7", 6001);
	assert_refused(r, "outputs[1].interface: \"a b\", expected an interface's name of 1 to 15 "
			  "bytes");
}

static void sources(void **state)
{
	struct rule *r = *state;

	r->inputs[0].source = ip("2001:db8::1");
	assert_refused(r, "inputs[0].source: 2001:db8::1, expected IPv4 as the packets");
	r->inputs[0].source = ip("239.1.1.9");
	assert_refused(r, "inputs[0].source: 239.1.1.9, expected a host's address");
	r->inputs[0].source = ip("0.0.0.0");
	assert_refused(r, "inputs[0].source: 0.0.0.0, expected a host's address");
	r->inputs[0] = input("br0", "ff3e::1", 5001, "10.0.0.1");
	assert_refused(r, "inputs[0].source: 10.0.0.1, expected IPv6 as the packets");
	r->inputs[0].source = ip("");
	r->outputs[0].source = ip("fe80::1");
	assert_refused(r, "outputs[0].source: fe80::1, expected IPv4 as the packets");
	r->outputs[0].source = ip("224.0.0.1");
	assert_refused(r, "outputs[0].source: 224.0.0.1, expected a host's address");
}

static void two_inputs(void **state)
{
	struct rule *r = *state;

	r->match = RULE_MATCH_RTP;
	assert_refused(r, "match: rtp, expected none with one input");
	second_input(r);
	r->match = RULE_MATCH_NONE;
	assert_refused(r, "match: none, expected rtp or content with two inputs");
	r->match = RULE_MATCH_RTP;
	r->inputs[1] = r->inputs[0];
	assert_refused(r, "inputs[1]: the same as inputs[0], expected another one");
}

static void outputs(void **state)
{
	struct rule *r = *state;

	r->outputs[1] = output("", "239.1.1.2", 6001);
	assert_refused(r, "outputs[1].interface: \"\", expected an interface's name of 1 to 15 "
			  "bytes");
	r->outputs[1] = output("", "fe80::1", 6001);
	assert_refused(r, "outputs[1].interface: \"\", expected an interface's name of 1 to 15 "
			  "bytes");
	r->outputs[1] = output("", "10.1.0.7", 0);
	assert_refused(r, "outputs[1].port: 0, expected 1 to 65535");
	r->outputs[1] = output("br1", "0.0.0.0", 1);
	assert_refused(r, "outputs[1].address: 0.0.0.0, expected a group or a host's address");
	r->outputs[1] = output("br1", "::", 1);
	assert_refused(r, "outputs[1].address: ::, expected a group or a host's address");
	r->outputs[1] = output("br1", "255.255.255.255", 1);
	assert_refused(r, "outputs[1].address: 255.255.255.255, expected a group or a host's "
			  "address");
	r->outputs[1] = output("br1", "", 1);
	assert_refused(r, "outputs[1].address: missing, expected a group or a host's address");
}

static void number_of_outputs(void **state)
{
	struct rule *r = *state;

	r->output_count = 0;
	assert_refused(r, "outputs: 0, expected 1 to 512");
	for (uint16_t i = 0; i <= RULE_OUTPUTS_MAX; i++)
		r->outputs[i] = output("br1", "239.10.1.1", (uint16_t)(6001 + i));
	r->output_count = RULE_OUTPUTS_MAX;
	assert_good(r);
	r->output_count++;
	assert_refused(r, "outputs: 513, expected 1 to 512");
	r->output_count--;
	r->outputs[511] = r->outputs[3];
	assert_refused(r, "outputs[511]: the same as outputs[3], expected each once");
}

static void an_output_twice(void **state)
{
	struct rule *r = *state;

	r->outputs[1] = output("br1", "239.10.1.1", 6001);
	r->outputs[1].ttl = 3;
	assert_refused(r, "outputs[1]: the same as outputs[0], expected each once");
	r->outputs[1] = output("br2", "239.10.1.1", 6001);
	assert_good(r);
}

static void an_output_that_is_an_input(void **state)
{
	struct rule *r = *state;

	second_input(r);
	r->outputs[1] = output("br9", "239.1.1.1", 5001);
	assert_refused(r, "outputs[1]: a loop, the same interface, group and port as inputs[1]");
	r->outputs[1].port++;
	assert_good(r);
}

static void default_names(void **state)
{
	struct rule *r = *state;
	char name[RULE_NAME_MAX], other[RULE_NAME_MAX];

	rule_name_default(r, name);
	assert_string_equal(name, "10.0.0.9/239.1.1.1:5001@br0");
	r->inputs[0].source = ip("");
	rule_name_default(r, name);
	assert_string_equal(name, "239.1.1.1:5001@br0");
	r->inputs[0] = input("br0", "ff3e::1", 5001, "2001:db8::1");
	rule_name_default(r, name);
	assert_string_equal(name, "2001:db8::1/[ff3e::1]:5001@br0");
	r->inputs[0] = input("interface123456", "ff3e:1111:2222:3333:4444:5555:6666:7777", 50011,
			     "2001:1111:2222:3333:4444:5555:6666:7777");
	rule_name_default(r, name);
	assert_int_equal(strlen(name), RULE_NAME_MAX - 1);
	set_name(r, name);
	assert_good(r);
	r->inputs[0].port++;
	rule_name_default(r, other);
	assert_string_not_equal(name, other);
	assert_memory_equal(name, other, 40);
}

static void copies_are_deep(void **state)
{
	struct rule *r = *state, copy = {0}, empty = {0};

	rule_copy(&empty, &copy);
	rule_done(&copy);
	rule_done(&copy);
	rule_done(NULL);
	rule_copy(r, &copy);
	assert_true(rule_is_same(r, &copy));
	copy.outputs[1].ttl = 9;
	assert_false(rule_is_same(r, &copy));
	assert_int_equal(r->outputs[1].ttl, 0);
	rule_done(&copy);
}

#define test(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(good_rules),      test(names),
		test(inputs),	       test(interfaces),
		test(sources),	       test(two_inputs),
		test(outputs),	       test(number_of_outputs),
		test(an_output_twice), test(an_output_that_is_an_input),
		test(default_names),   test(copies_are_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
