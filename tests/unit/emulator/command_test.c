/* with: src/emulator/core/command.c src/emulator/core/settings.c src/emulator/core/quantity.c */
/* The language: each command, its parts left out, and what is refused, with the word that is
 * wrong in the reason. */
#include "emulator/core/command.h"

#include "emulator/core/quantity.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct command good(const char *line)
{
	struct command command;
	char why[WHY_BYTES_MAX] = "";

	if (command_parse(line, &command, why))
		fail_msg("%s: %s", line, why);
	return command;
}

static void test_set(void **state)
{
	struct command c = good("set wan a>b rate 50mbit delay 10ms jitter 1ms loss 1% "
				"burst 0.1%:5 reorder 2%:3ms duplicate 4% limit 64kb");

	(void)state;
	assert_int_equal(c.kind, COMMAND_SET);
	assert_string_equal(c.link, "wan");
	assert_int_equal(c.directions, DIRECTION_A_TO_B);
	assert_int_equal(c.change.keys, (1u << KEY_COUNT) - 1);
	assert_int_equal(c.change.to.rate_bps, 50000000);
	assert_int_equal(c.change.to.delay_ns, 10000000);
	assert_int_equal(c.change.to.jitter_ns, 1000000);
	assert_int_equal(c.change.to.loss_ppb, PPB_ALL / 100);
	assert_int_equal(c.change.to.burst_ppb, PPB_ALL / 1000);
	assert_int_equal(c.change.to.burst_mille, 5000);
	assert_int_equal(c.change.to.reorder_ppb, PPB_ALL / 50);
	assert_int_equal(c.change.to.reorder_ns, 3000000);
	assert_int_equal(c.change.to.duplicate_ppb, PPB_ALL / 25);
	assert_int_equal(c.change.to.limit_bytes, 65536);
	assert_int_equal(c.change.to.limit_packets, 0);
}

/* What is not named stays, what is "none" goes back. */
static void test_change(void **state)
{
	struct command c = good("set wan rate 1mbit delay 5ms limit 64kb burst 1%:2");
	struct settings s;

	(void)state;
	settings_init(&s);
	settings_change(&s, &c.change);
	c = good("\tset  wan both delay none limit none ");
	assert_int_equal(c.directions, DIRECTION_A_TO_B | DIRECTION_B_TO_A);
	settings_change(&s, &c.change);
	assert_int_equal(s.rate_bps, 1000000);
	assert_int_equal(s.burst_mille, 2000);
	assert_int_equal(s.delay_ns, 0);
	assert_int_equal(s.limit_bytes, 0);
	assert_int_equal(s.limit_packets, LIMIT_PACKETS_DEFAULT);
}

static void test_others(void **state)
{
	struct command c = good("link wan-1 veth0@red tun:t1");

	(void)state;
	assert_int_equal(c.kind, COMMAND_LINK);
	assert_string_equal(c.link, "wan-1");
	assert_string_equal(c.ends[0], "veth0@red");
	assert_string_equal(c.ends[1], "tun:t1");
	c = good("blackhole wan b>a on");
	assert_int_equal(c.kind, COMMAND_BLACKHOLE);
	assert_int_equal(c.directions, DIRECTION_B_TO_A);
	assert_true(c.is_on);
	c = good("blackhole wan off");
	assert_int_equal(c.directions, DIRECTION_A_TO_B | DIRECTION_B_TO_A);
	assert_false(c.is_on);
	c = good("down wan on");
	assert_int_equal(c.kind, COMMAND_DOWN);
	assert_true(c.is_on);
	assert_string_equal(good("stats wan").link, "wan");
	assert_string_equal(good("stats").link, "");
	assert_int_equal(good("quit").kind, COMMAND_QUIT);
}

static void test_refused(void **state)
{
	static const char *const lines[][2] = {
		{"", "command"},
		{"dance", "dance"},
		{"SET wan rate 1mbit", "SET"},
		{"set", "link \"\""},
		{"set wan", "expected a key"},
		{"set wan a>b", "expected a key"},
		{"set wan b>c rate 1mbit", "b>c"},
		{"set wan rate", "rate"},
		{"set wan rate fast", "fast"},
		{"set wan rate 0mbit", "0mbit"},
		{"set wan rate 50mbit dellay 10ms", "dellay"},
		{"set wan delay 2m", "2m"},
		{"set wan loss 101%", "101%"},
		{"set wan loss -1%", "-1%"},
		{"set wan burst 1%", "1%"},
		{"set wan burst 1%:0.5", "1%:0.5"},
		{"set wan burst :", ":"},
		{"set wan reorder 1%:x", "1%:x"},
		{"set wan limit 0p", "0p"},
		{"set w/n rate 1mbit", "w/n"},
		{"set a_name_that_is_longer_than_thirty rate 1mbit", "a_name_that_is"},
		{"link wan", "end a"},
		{"link wan veth0", "end b"},
		{"link wan veth0 veth1 veth2", "veth2"},
		{"blackhole wan", "on or off"},
		{"blackhole wan maybe", "maybe"},
		{"blackhole wan a>b", "on or off"},
		{"down wan", "on or off"},
		{"down wan a>b on", "a>b"},
		{"stats wan lan", "lan"},
		{"quit now", "now"},
		{"set wan rate 1mbit\033[2J", "printable"},
		{"a b c d e f g h i j k l m n o p q r s t u v w x y", "words"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct command command = {.kind = COMMAND_COUNT};
		char why[WHY_BYTES_MAX] = "";

		assert_int_equal(command_parse(lines[i][0], &command, why), -EINVAL);
		if (!strstr(why, lines[i][1]))
			fail_msg("%s: \"%s\" does not name %s", lines[i][0], why, lines[i][1]);
		assert_int_equal(command.kind, COMMAND_COUNT);
	}
}

static void test_too_long(void **state)
{
	char line[COMMAND_BYTES_MAX + 10], why[WHY_BYTES_MAX];
	struct command command;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(command_parse(line, &command, why), -EINVAL);
	line[COMMAND_BYTES_MAX - 1] = '\0';
	assert_int_equal(command_parse(line, &command, why), -EINVAL);
	assert_true(strlen(why) < WHY_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),	 cmocka_unit_test(test_change),
		cmocka_unit_test(test_others),	 cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
