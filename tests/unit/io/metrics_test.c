/* Prometheus text from the stats of two paths: units, states, labels, and what is not there. */
#include "common/io/metrics.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *print(const char *stats_text, const char *health_text)
{
	json_t *stats = json_loads(stats_text, 0, NULL), *health = json_loads(health_text, 0, NULL);
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(stats);
	assert_non_null(health);
	metrics_print(out, stats, health);
	fclose(out);
	json_decref(stats);
	json_decref(health);
	return text;
}

static size_t occurrences(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

static void a_path_has_its_labels_and_base_units(void **state)
{
	char *text = print(
		"{\"module\": \"ingress\", \"version\": \"1.2\", \"scheduler\": \"adaptive\","
		" \"state\": \"draining\", \"uptime_ms\": 61500, \"bytes\": {\"sent_total\":"
		" 9007199254740993}, \"paths\": ["
		"{\"tunnel\": \"ab\", \"worker\": 0, \"index\": 1, \"side\": \"backend\", \"peer\":"
		" \"[::1]:7\", \"state\": \"up\", \"rtt_us\": 1500, \"sent_bytes\": 5, \"share\": "
		"0.25},"
		"{\"tunnel\": \"ab\", \"worker\": 0, \"index\": 2, \"side\": \"backend\", \"peer\":"
		" \"a\\\"\\\\\\nb\", \"state\": \"down\", \"why\": \"refused\","
		" \"sent_bytes\": 6, \"parks\": 3, \"doubt_us\": 2500}]}",
		"{\"live\": true, \"ready\": true, \"degraded\": [\"backend a: refused\"]}");

	(void)state;
	assert_non_null(strstr(text, "mpp_info{module=\"ingress\",version=\"1.2\","
				     "scheduler=\"adaptive\"} 1\n"));
	assert_non_null(strstr(text, "\nmpp_draining 1\n"));
	assert_non_null(strstr(text, "# TYPE mpp_ready gauge\nmpp_ready 1\n"));
	assert_non_null(strstr(text, "\nmpp_uptime_seconds 61.5\n"));
	/* 2^53 + 1: exact, not by way of a double */
	assert_non_null(strstr(text, "# TYPE mpp_sent_bytes_total counter\n"
				     "mpp_sent_bytes_total 9007199254740993\n"));
#define FIRST "{tunnel=\"ab\",worker=\"0\",index=\"1\",side=\"backend\",peer=\"[::1]:7\"}"
#define SECOND "{tunnel=\"ab\",worker=\"0\",index=\"2\",side=\"backend\",peer=\"a\\\"\\\\\\nb\"}"
	assert_non_null(strstr(text, "# TYPE mpp_path_sent_bytes_total counter\n"
				     "mpp_path_sent_bytes_total" FIRST " 5\n"
				     "mpp_path_sent_bytes_total" SECOND " 6\n"));
	assert_non_null(strstr(text, "mpp_path_up" FIRST " 1\nmpp_path_up" SECOND " 0\n"));
	assert_non_null(strstr(text, "# TYPE mpp_path_state gauge\n"
				     "mpp_path_state{tunnel=\"ab\",worker=\"0\",index=\"1\","
				     "side=\"backend\",peer=\"[::1]:7\",state=\"up\",why=\"\"} 1\n"
				     "mpp_path_state{tunnel=\"ab\",worker=\"0\",index=\"2\","
				     "side=\"backend\",peer=\"a\\\"\\\\\\nb\",state=\"down\","
				     "why=\"refused\"} 1\n"));
	assert_non_null(strstr(text, "# TYPE mpp_path_parks_total counter\n"
				     "mpp_path_parks_total" SECOND " 3\n"));
	assert_non_null(strstr(text, "# TYPE mpp_path_doubt_seconds gauge\n"
				     "mpp_path_doubt_seconds" SECOND " 0.0025\n"));
	assert_non_null(strstr(text, "\nmpp_path_rtt_seconds" FIRST " 0.0015\n"));
	assert_non_null(strstr(text, "\nmpp_path_share_ratio" FIRST " 0.25\n"));
	assert_int_equal(occurrences(text, "mpp_path_rtt_seconds{"), 1);
	free(text);
}

static void what_is_not_there_is_left_out(void **state)
{
	char *text = print("{\"workers\": \"two\", \"paths\": [{\"dials\": null}]}",
			   "{\"ready\": \"perhaps\"}");

	(void)state;
	assert_null(strstr(text, "mpp_workers"));
	assert_null(strstr(text, "mpp_path_dials_total"));
	assert_null(strstr(text, "mpp_path_state"));
	assert_null(strstr(text, "mpp_ready"));
	assert_non_null(strstr(text, "\nmpp_draining 0\n"));
	assert_int_equal(occurrences(text, "# HELP"), 3);
	free(text);
}

static void a_module_without_a_way_is_not_ready(void **state)
{
	char *text = print("{}", "{\"live\": true, \"ready\": false}");

	(void)state;
	assert_non_null(strstr(text, "\nmpp_ready 0\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_has_its_labels_and_base_units),
		cmocka_unit_test(what_is_not_there_is_left_out),
		cmocka_unit_test(a_module_without_a_way_is_not_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
