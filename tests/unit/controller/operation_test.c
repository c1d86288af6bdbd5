/* with: src/controller/operation.c */
/* Operations of mpp_controller: the requests that come of good arguments, and the one line that
 * comes of bad ones. */
#include "controller/operation.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
		{{"reset"}, "{\"op\":\"reset\"}"},
		{{"sessions"}, "{\"op\":\"sessions\"}"},
		{{"update_topo_pre", "2", "10.0.0.1", "7000", "[::1]", "65535"},
		 "{\"op\":\"update_topo_pre\",\"addresses\":[{\"host\":\"10.0.0.1\",\"port\":7000},"
		 "{\"host\":\"::1\",\"port\":65535}]}"},
		{{"set_weight", "10.0.0.1", "7000", "5"},
		 "{\"op\":\"set_weight\",\"host\":\"10.0.0.1\",\"port\":7000,\"ratio\":5}"},
		{{"set_weight", "10.0.0.1", "7000", "5", "listen"},
		 "{\"op\":\"set_weight\",\"host\":\"10.0.0.1\",\"port\":7000,\"ratio\":5,"
		 "\"side\":\"listen\"}"},
		{{"add_path", "10.0.0.1", "7000"},
		 "{\"op\":\"add_path\",\"host\":\"10.0.0.1\",\"port\":7000}"},
		{{"add_path", "::1", "7000", "1000000", "backend"},
		 "{\"op\":\"add_path\",\"host\":\"::1\",\"port\":7000,\"ratio\":1000000,"
		 "\"side\":\"backend\"}"},
		{{"add_path", "::1", "7000", "backend"},
		 "{\"op\":\"add_path\",\"host\":\"::1\",\"port\":7000,\"side\":\"backend\"}"},
		{{"remove_path", "relay.example", "7000", "backend"},
		 "{\"op\":\"remove_path\",\"host\":\"relay.example\",\"port\":7000,"
		 "\"side\":\"backend\"}"},
		{{"set_scheduler", "weighted"},
		 "{\"op\":\"set_scheduler\",\"scheduler\":\"weighted\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[OPERATION_WHY_MAX];
		json_t *request;
		char *text;

		assert_int_equal(operation_request(count(cases[i].argv), cases[i].argv, &request,
						   why),
				 0);
		text = json_dumps(request, JSON_COMPACT);
		assert_string_equal(text, cases[i].request);
		free(text);
		json_decref(request);
	}
}

static void bad_arguments_are_named(void **state)
{
	static const struct {
		char *argv[ARGV_MAX];
		const char *why;
	} cases[] = {
		{{"restart"},
		 "operation \"restart\": not known, expected one of health_check, "
		 "update_topo_pre, update_topo, abort_topo, set_weight, add_path, remove_path, "
		 "set_scheduler, reset, close, stats, paths, sessions"},
		{{"stats", "now"}, "argument \"now\": expected none behind stats"},
		{{"update_topo_pre"}, "n \"\": expected the number of addresses, from 1 to 64"},
		{{"update_topo_pre", "65"},
		 "n \"65\": expected the number of addresses, from 1 to 64"},
		{{"update_topo_pre", "2", "10.0.0.1", "7000"},
		 "n \"2\": expected as many addresses and ports, 4 arguments, not 2"},
		{{"update_topo_pre", "1", "10.0.0.1", "7000", "7001"},
		 "n \"1\": expected as many addresses and ports, 2 arguments, not 3"},
		{{"update_topo_pre", "1", "1.2.3", "7000"},
		 "ip1 \"1.2.3\": expected an IPv4 or IPv6 address or a host name"},
		{{"update_topo_pre", "2", "10.0.0.1", "7000", "10.0.0.1", "65536"},
		 "port2 \"65536\": expected a whole number from 1 to 65535"},
		{{"set_weight"}, "set_weight: expected IP PORT RATIO [SIDE]"},
		{{"set_weight", "10.0.0.1", "7000"}, "set_weight: expected IP PORT RATIO [SIDE]"},
		{{"set_weight", "10.0.0.1", "7000", "backend"},
		 "set_weight: expected IP PORT RATIO [SIDE]"},
		{{"set_weight", "10.0.0.1", "7000", "0"},
		 "ratio \"0\": expected a whole number from 1 to 1000000"},
		{{"set_weight", "10.0.0.1", "7000", "1000001"},
		 "ratio \"1000001\": expected a whole number from 1 to 1000000"},
		{{"add_path", "10.0.0.1", "0"},
		 "port \"0\": expected a whole number from 1 to 65535"},
		{{"add_path", "10.0.0.1", "7000", "front"},
		 "ratio \"front\": expected a whole number from 1 to 1000000"},
		{{"remove_path", "10.0.0.1", "7000", "5"},
		 "argument \"5\": expected no more behind remove_path IP PORT [SIDE]"},
		{{"remove_path", "1.2.3", "7000"},
		 "ip \"1.2.3\": expected an IPv4 or IPv6 address or a host name"},
		{{"set_scheduler"}, "set_scheduler: expected NAME"},
		{{"set_scheduler", "a", "b"},
		 "argument \"b\": expected no more behind set_scheduler NAME"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[OPERATION_WHY_MAX] = "";
		json_t *request = NULL;

		assert_int_equal(operation_request(count(cases[i].argv), cases[i].argv, &request,
						   why),
				 -EINVAL);
		assert_string_equal(why, cases[i].why);
		assert_null(request);
	}
}

static void the_help_says_what_may_stand_there(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	operation_help(out);
	fclose(out);
	assert_non_null(strstr(text, "  set_weight IP PORT RATIO [SIDE]  change"));
	assert_non_null(strstr(text, "\nSIDE is backend or listen;"));
	assert_non_null(strstr(text, " NAME is one of:\nadaptive, weighted, ecf, blest, minrtt, "
				     "redundant, backup.\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_arguments_become_requests),
		cmocka_unit_test(bad_arguments_are_named),
		cmocka_unit_test(the_help_says_what_may_stand_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
