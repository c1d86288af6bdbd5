/* The shared parts of what modules tell of themselves: limits, texts, and stats that add up. */
#include "common/module/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static size_t limit_of(const char *args_text)
{
	json_t *args = json_loads(args_text, 0, NULL);
	size_t limit = report_limit(args);

	json_decref(args);
	return limit;
}

static void the_limit_of_sessions(void **state)
{
	(void)state;
	assert_int_equal(limit_of("{}"), 100);
	assert_int_equal(limit_of("{\"limit\": 7}"), 7);
	assert_int_equal(limit_of("{\"limit\": 0}"), 0);
	assert_int_equal(limit_of("{\"limit\": 100000}"), 100000);
	assert_int_equal(limit_of("{\"limit\": -1}"), 100);
	assert_int_equal(limit_of("{\"limit\": \"7\"}"), 100);
}

static void assert_joined(const char *reasons_text, const char *wanted)
{
	json_t *reasons = json_loads(reasons_text, 0, NULL);
	char *text = report_join(reasons);

	assert_string_equal(text, wanted);
	free(text);
	json_decref(reasons);
}

static void reasons_are_joined(void **state)
{
	(void)state;
	assert_joined("{}", "");
	assert_joined("{\"a:1\": \"refused\"}", "a:1: refused");
	assert_joined("{\"a:1\": \"refused\", \"b:2\": \"no answer\", \"c:3\": \"\"}",
		      "a:1: refused; b:2: no answer; c:3: ");
}

/* However many there are, the last one is there. */
static void no_reason_is_left_out(void **state)
{
	json_t *reasons = json_object();
	char name[32], *text;

	(void)state;
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "host-%d:7000", i);
		json_object_set_new(reasons, name, json_string("connection refused"));
	}
	text = report_join(reasons);
	assert_non_null(strstr(text, "; host-63:7000: connection refused"));
	assert_int_equal(strlen(text), strlen("; host-9:7000: connection refused") * 64 + 54 - 2);
	free(text);
	json_decref(reasons);
}

static json_int_t figure(const json_t *stats, const char *group, const char *key)
{
	const json_t *value = json_object_get(json_object_get(stats, group), key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void tunnels_add_up(void **state)
{
	const struct tunnel_counters gone = {.opened = 3, .reset = 2, .sent_bytes = 1000};
	const struct tunnel_config config = {.is_initiator = true};
	const struct tunnel_ops no_ops = {0};
	struct budget b;
	struct tunnel *t;
	json_t *stats;

	(void)state;
	budget_init(&b, 64 * MIB, 16, FIRST_CREDIT_BYTES);
	t = tunnel_new(&config, &no_ops, &b, NULL, 0);
	assert_non_null(tunnel_open(t, &(struct open_info){0}, NULL, 0));
	t->counters.sent_bytes = 234;
	stats = report_begin(&b);
	report_add_counters(stats, &gone);
	report_add_tunnel(stats, t);
	report_add_tunnel(stats, t); /* as another one just like it */
	assert_int_equal(json_integer_value(json_object_get(stats, "tunnels")), 2);
	assert_int_equal(figure(stats, "sessions", "open"), 0);
	assert_int_equal(figure(stats, "sessions", "waiting"), 2);
	assert_int_equal(figure(stats, "sessions", "opened_total"), 5);
	assert_int_equal(figure(stats, "sessions", "reset_total"), 2);
	assert_int_equal(figure(stats, "bytes", "sent_total"), 1468);
	assert_int_equal(figure(stats, "memory", "limit_bytes"), 64 * MIB);
	json_decref(stats);
	tunnel_free(t);
	budget_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_of_sessions),
		cmocka_unit_test(reasons_are_joined),
		cmocka_unit_test(no_reason_is_left_out),
		cmocka_unit_test(tunnels_add_up),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
