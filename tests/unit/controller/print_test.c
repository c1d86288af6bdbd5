/* with: src/controller/print.c src/controller/table.c */
/* Replies as mpp_controller shows them: the line of each operation, the tables, and what a module
 * that is none of ours might send to a terminal. */
#include "controller/print.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect(const char *op, const char *reply_text, const char *expected)
{
	json_t *reply = json_loads(reply_text, 0, NULL);
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(reply);
	if (op)
		print_reply(out, op, reply);
	else
		print_refusal(out, reply);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	json_decref(reply);
}

static void one_line_says_what_was_done(void **state)
{
	(void)state;
	expect("health_check", "{\"live\": true, \"ready\": true, \"degraded\": []}",
	       "health_check: live, ready\n");
	expect("health_check", "{\"live\": true, \"ready\": false, \"degraded\": [\"a\", \"b\"]}",
	       "health_check: live, not ready, degraded: a; b\n");
	expect("update_topo_pre", "{\"ratios\": [1, 20]}",
	       "update_topo_pre: prepared, ratios 1 20\n");
	expect("update_topo", "{\"paths\": 1}",
	       "update_topo: the prepared topology is in force, 1 path\n");
	expect("update_topo", "{\"listeners\": 2}",
	       "update_topo: the prepared topology is in force, 2 listeners\n");
	expect("reset", "{\"sessions\": 0}", "reset: done, ended 0 sessions\n");
	expect("close", "{}", "close: the module lets its sessions finish and ends\n");
	expect("abort_topo", "{}", "abort_topo: the prepared topology is dropped\n");
}

static void tables_are_aligned(void **state)
{
	(void)state;
	expect("sessions",
	       "{\"total\": 5000, \"sessions\": ["
	       "{\"tunnel\": \"0123456789\", \"id\": 7, \"peer\": \"10.0.0.1:5\", \"state\":"
	       " \"open\", \"sent_bytes\": 1023, \"acked_bytes\": 1536, \"age_ms\": 1500},"
	       "{\"tunnel\": \"ab\", \"id\": 12345, \"peer\": \"[::1]:5\", \"state\": \"reset\"}]}",
	       "TUNNEL       ID  PEER        STATE    SENT    ACKED  RECEIVED  DELIVERED  WINDOW"
	       "    AGE  IDLE\n"
	       "01234567      7  10.0.0.1:5  open   1023 B  1.5 KiB         -          -       -"
	       "  1.5 s     -\n"
	       "ab        12345  [::1]:5     reset       -        -         -          -       -"
	       "      -     -\n"
	       "2 of 5000\n");
}

static void stats_name_their_units(void **state)
{
	(void)state;
	expect("stats",
	       "{\"ok\": true, \"uptime_ms\": 61000, \"bytes\": {\"sent_total\": 3145728},"
	       " \"sessions\": {\"open\": 1048576}, \"paths\": []}",
	       "uptime                           61.0 s\n"
	       "bytes.sent_total                 3.0 MiB\n"
	       "sessions.open                    1048576\n");
}

static void nothing_drives_the_terminal(void **state)
{
	(void)state;
	expect(NULL, "{\"code\": \"a\\u001b[2J\", \"error\": \"b\\nc\\u00e9\"}", "a?[2J: b?c??");
	expect(NULL, "{}", "-: -");
	expect("health_check", "{\"degraded\": [\"\\u0007\"]}",
	       "health_check: not live, not ready, degraded: ?\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_says_what_was_done),
		cmocka_unit_test(tables_are_aligned),
		cmocka_unit_test(stats_name_their_units),
		cmocka_unit_test(nothing_drives_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
