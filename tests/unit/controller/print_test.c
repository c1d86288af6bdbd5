/* with: src/controller/print.c */
/* Replies as mpp_controller shows them: the line of each operation, the tables, and what a module
 * that is none of ours might send to a terminal. */
#include "common/io/table.h"
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
		refusal_print(out, reply);
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
	expect("reset", "{\"sessions\": 0, \"tunnels\": 1}", "reset: done, hung up on 1 tunnel\n");
	expect("close", "{}", "close: the module lets its sessions finish and ends\n");
	expect("abort_topo", "{}", "abort_topo: the prepared topology is dropped\n");
}

static void what_did_not_go_well_is_said(void **state)
{
	(void)state;
	expect("update_topo", "{\"paths\": 3, \"cut\": 0}",
	       "update_topo: the prepared topology is in force, 3 paths\n");
	expect("update_topo", "{\"paths\": 3, \"cut\": 2}",
	       "update_topo: the prepared topology is in force, 3 paths, 2 could not be drained in "
	       "time\n");
	expect("update_topo", "{\"listeners\": 1, \"tunnels_left_behind\": [], \"cut\": 0}",
	       "update_topo: the prepared topology is in force, 1 listener\n");
	expect("update_topo",
	       "{\"listeners\": 1, \"tunnels_left_behind\": [\"0123abcd\", \"45\\u0007\"],"
	       " \"cut\": 1}",
	       "update_topo: the prepared topology is in force, 1 listener, 1 could not be drained "
	       "in time, tunnels left behind: 0123abcd 45?\n");
	expect("remove_path", "{\"ratios\": [1], \"cut\": 0}", "remove_path: removed\n");
	expect("remove_path", "{\"ratios\": [1], \"cut\": 1}",
	       "remove_path: removed, 1 could not be drained in time\n");
}

static void tables_are_aligned(void **state)
{
	(void)state;
	expect("sessions",
	       "{\"total\": 5000, \"sessions\": ["
	       "{\"tunnel\": \"0123456789\", \"id\": 7, \"peer\": \"10.0.0.1:5\", \"state\":"
	       " \"open\", \"sent_bytes\": 1023, \"acked_bytes\": 1536, \"age_ms\": 1500},"
	       "{\"tunnel\": \"ab\", \"id\": 12345, \"peer\": \"[::1]:5\", \"state\": \"reset\"}]}",
	       "TUNNEL       ID  PEER        STATE    SENT    ACKED    AGE\n"
	       "01234567      7  10.0.0.1:5  open   1023 B  1.5 KiB  1.5 s\n"
	       "ab        12345  [::1]:5     reset       -        -      -\n"
	       "2 of 5000\n");
}

/* What a proxy does not know has no column there. */
static void a_proxys_hops_have_fewer_columns(void **state)
{
	(void)state;
	expect("paths",
	       "{\"paths\": [{\"tunnel\": \"abcdefghij\", \"worker\": 0, \"side\": \"listen\","
	       " \"peer\": \"10.0.0.1:5\", \"listener\": \"10.0.0.2:70\", \"state\": \"up\","
	       " \"why\": \"\", \"ratio\": 10, \"hop_rtt_us\": 1500, \"sent_bytes\": 1,"
	       " \"received_bytes\": 0},"
	       "{\"tunnel\": \"abcdefghij\", \"worker\": 0, \"side\": \"backend\","
	       " \"peer\": \"10.0.0.3:70\", \"state\": \"down\", \"why\": \"refused\","
	       " \"ratio\": 20, \"hop_rtt_us\": 0, \"sent_bytes\": 0, \"received_bytes\": 0,"
	       " \"losses\": 1}]}",
	       "TUNNEL    WORKER  SIDE     PEER         LISTENER     STATE  RATIO  HOP-RTT  LOSSES"
	       "  WHY\n"
	       "abcdefgh       0  listen   10.0.0.1:5   10.0.0.2:70  up        10  1.50 ms       -"
	       "  -\n"
	       "abcdefgh       0  backend  10.0.0.3:70  -            down      20  0.00 ms       1"
	       "  refused\n"
	       "\n"
	       "TUNNEL    WORKER  PEER         SENT  RECEIVED\n"
	       "abcdefgh       0  10.0.0.1:5    1 B       0 B\n"
	       "abcdefgh       0  10.0.0.3:70   0 B       0 B\n");
}

/* All that an end measures, each value where its title says. */
static void an_ends_paths_have_all_columns(void **state)
{
	(void)state;
	expect("paths",
	       "{\"paths\": [{\"tunnel\": \"abcdefghij\", \"worker\": 1, \"side\": \"backend\","
	       " \"peer\": \"10.0.0.1:70\", \"state\": \"stalled\", \"why\": \"silent\","
	       " \"index\": 5, \"ratio\": 3, \"share\": 0.25, \"rate_bps\": 100000000,"
	       " \"base_rtt_us\": 20000, \"rtt_us\": 25250, \"hop_rtt_us\": 9870,"
	       " \"inflight_bytes\": 65536, \"cap_bytes\": 131072, \"sent_bytes\": 4194304,"
	       " \"resent_bytes\": 1, \"received_bytes\": 2048, \"duplicate_bytes\": 12,"
	       " \"doubt_us\": 1230, \"stalls\": 4, \"parks\": 7, \"dials\": 11, \"losses\": 9,"
	       " \"redials\": 8}]}",
	       "TUNNEL    WORKER  SIDE     PEER         STATE    RATIO   SHARE          RATE"
	       "       RTT  BASE-RTT  HOP-RTT  DIALS  LOSSES  REDIALS  WHY\n"
	       "abcdefgh       1  backend  10.0.0.1:70  stalled      3  25.0 %  100.0 Mbit/s"
	       "  25.25 ms  20.00 ms  9.87 ms     11       9        8  silent\n"
	       "\n"
	       "TUNNEL    WORKER  PEER         IN-FLIGHT        CAP     SENT  RESENT  RECEIVED"
	       "  DUPLICATE  STALLS  PARKS    DOUBT\n"
	       "abcdefgh       1  10.0.0.1:70   64.0 KiB  128.0 KiB  4.0 MiB     1 B   2.0 KiB"
	       "       12 B       4      7  1.23 ms\n");
}

static void a_table_without_rows_has_its_titles(void **state)
{
	(void)state;
	expect("sessions", "{\"total\": 0, \"sessions\": []}",
	       "TUNNEL  ID  PEER  STATE  SENT  ACKED  RECEIVED  DELIVERED  WINDOW  AGE  IDLE\n"
	       "0 of 0\n");
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
		cmocka_unit_test(what_did_not_go_well_is_said),
		cmocka_unit_test(tables_are_aligned),
		cmocka_unit_test(a_proxys_hops_have_fewer_columns),
		cmocka_unit_test(an_ends_paths_have_all_columns),
		cmocka_unit_test(a_table_without_rows_has_its_titles),
		cmocka_unit_test(stats_name_their_units),
		cmocka_unit_test(nothing_drives_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
