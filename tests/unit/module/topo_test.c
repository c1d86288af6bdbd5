/* Address lists of a topology change: the ratios that a request leaves out, what is wrong with
 * one, and the way to a worker and back. */
#include "common/module/topo.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct conf_address known[] = {
	{.host = "10.0.0.1", .port = 80, .ratio = 10},
	{.host = "10.0.0.2", .port = 80, .ratio = 30},
	{.host = "relay", .port = 81, .ratio = 51},
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

struct parsed {
	struct topo_list topo;
	char why[256];
};

static int parse(const char *request, size_t known_count, struct parsed *p)
{
	json_t *args = json_loads(request, 0, NULL);
	struct topo t;
	int err;

	assert_non_null(args);
	memset(p, 0, sizeof(*p));
	topo_init(&t, known, known_count);
	err = topo_parse(args, &t.used, &p->topo, p->why);
	json_decref(args);
	return err;
}

/* ---- ratios ---- */

static void known_addresses_keep_their_ratios(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(parse("{\"addresses\": [{\"host\": \"10.0.0.2\", \"port\": 80},"
			       "{\"host\": \"RELAY\", \"port\": 81},"
			       "{\"host\": \"10.0.0.1\", \"port\": 80, \"ratio\": 7}]}",
			       KNOWN, &p),
			 0);
	assert_int_equal(p.topo.count, 3);
	assert_int_equal(p.topo.list[0].ratio, 30);
	assert_int_equal(p.topo.list[1].ratio, 51);
	assert_int_equal(p.topo.list[2].ratio, 7);
}

static void new_addresses_get_the_mean_of_the_known(void **state)
{
	struct parsed p;

	(void)state;
	/* Another port is another address. */
	assert_int_equal(parse("{\"addresses\": [{\"host\": \"10.0.0.9\", \"port\": 80},"
			       "{\"host\": \"10.0.0.1\", \"port\": 81}]}",
			       KNOWN, &p),
			 0);
	assert_int_equal(p.topo.list[0].ratio, (10 + 30 + 51) / 3);
	assert_int_equal(p.topo.list[1].ratio, (10 + 30 + 51) / 3);
	assert_int_equal(p.topo.list[1].port, 81);
}

static void without_known_ratios_it_is_one(void **state)
{
	const struct topo_list unused = {{{.host = "::1", .port = 1}}, 1};
	struct topo_list ret;
	json_t *args = json_loads("{\"addresses\": [{\"host\": \"::2\", \"port\": 1}]}", 0, NULL);
	char why[256];
	struct parsed p;

	(void)state;
	assert_int_equal(parse("{\"addresses\": [{\"host\": \"::1\", \"port\": 1}]}", 0, &p), 0);
	assert_int_equal(p.topo.list[0].ratio, 1);
	assert_int_equal(topo_parse(args, &unused, &ret, why), 0);
	assert_int_equal(ret.list[0].ratio, 1);
	json_decref(args);
}

/* ---- bad requests ---- */

static void each_fault_has_its_line(void **state)
{
	static const struct {
		const char *request, *why;
	} cases[] = {
		{"{}", "addresses: expected a list of 1 to 64"},
		{"{\"addresses\": 5}", "addresses: expected a list of 1 to 64"},
		{"{\"addresses\": []}", "addresses: expected a list of 1 to 64"},
		{"{\"addresses\": [5]}", "addresses[0].host: expected an address or a host name"},
		{"{\"addresses\": [{\"port\": 1}]}",
		 "addresses[0].host: expected an address or a host name"},
		{"{\"addresses\": [{\"host\": \"a b\", \"port\": 1}]}",
		 "addresses[0].host: expected an address or a host name"},
		{"{\"addresses\": [{\"host\": \"a\", \"port\": 1}, {\"host\": \"b\"}]}",
		 "addresses[1].port: expected a whole number from 1 to 65535"},
		{"{\"addresses\": [{\"host\": \"a\", \"port\": 65536}]}",
		 "addresses[0].port: expected a whole number from 1 to 65535"},
		{"{\"addresses\": [{\"host\": \"a\", \"port\": \"80\"}]}",
		 "addresses[0].port: expected a whole number from 1 to 65535"},
		{"{\"addresses\": [{\"host\": \"a\", \"port\": 1, \"ratio\": 0}]}",
		 "addresses[0].ratio: expected a whole number from 1 to 1000000"},
		{"{\"addresses\": [{\"host\": \"a\", \"port\": 1, \"ratio\": 1000001}]}",
		 "addresses[0].ratio: expected a whole number from 1 to 1000000"},
		{"{\"addresses\": [{\"host\": \"a\", \"port\": 1, \"ratio\": 1.5}]}",
		 "addresses[0].ratio: expected a whole number from 1 to 1000000"},
		{"{\"addresses\": [{\"host\": \"::1\", \"port\": 1},"
		 "{\"host\": \"[0::1]\", \"port\": 1}]}",
		 "addresses[1]: ::1:1 is there twice"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct parsed p;

		assert_int_equal(parse(cases[i].request, KNOWN, &p), -EINVAL);
		assert_string_equal(p.why, cases[i].why);
		assert_int_equal(p.topo.count, 0); /* untouched */
	}
}

static void there_are_so_many_addresses(void **state)
{
	json_t *list = json_array(), *args = json_pack("{s:o}", "addresses", list);
	const struct topo_list none = {.count = 0};
	struct topo_list ret;
	char why[256];

	(void)state;
	for (int i = 0; i < (int)CONF_ADDRESSES_MAX; i++)
		json_array_append_new(list, json_pack("{s:s, s:i}", "host", "a", "port", i + 1));
	assert_int_equal(topo_parse(args, &none, &ret, why), 0);
	assert_int_equal(ret.count, CONF_ADDRESSES_MAX);
	json_array_append_new(list, json_pack("{s:s, s:i}", "host", "b", "port", 1));
	assert_int_equal(topo_parse(args, &none, &ret, why), -EINVAL);
	json_decref(args);
}

/* Those that leave are there until the new ones carry. */
static void old_and_new_ones_have_room_beside_each_other(void **state)
{
	json_t *list = json_array(), *args = json_pack("{s:o}", "addresses", list);
	struct topo_list used, ret = {.count = 0};
	char why[256];

	(void)state;
	for (int i = 0; i < (int)CONF_ADDRESSES_MAX - 1; i++)
		json_array_append_new(list, json_pack("{s:s, s:i}", "host", "a", "port", i + 1));
	assert_int_equal(topo_parse(args, &(struct topo_list){.count = 0}, &used, why), 0);
	json_array_clear(list);
	json_array_append_new(list, json_pack("{s:s, s:i}", "host", "b", "port", 1));
	assert_int_equal(topo_parse(args, &used, &ret, why), 0);
	json_array_append_new(list, json_pack("{s:s, s:i}", "host", "a", "port", 1));
	assert_int_equal(topo_parse(args, &used, &ret, why), 0);
	json_array_append_new(list, json_pack("{s:s, s:i}", "host", "b", "port", 2));
	ret.count = 0;
	assert_int_equal(topo_parse(args, &used, &ret, why), -EINVAL);
	assert_string_equal(why, "addresses: 63 in use and 2 new ones stand beside each other "
				 "during the change: expected at most 64 in all");
	assert_int_equal(ret.count, 0);
	json_decref(args);
}

/* ---- as messages ---- */

static void to_json_and_back(void **state)
{
	struct conf_address ret[CONF_ADDRESSES_MAX];
	json_t *json = topo_to_json(known, KNOWN);

	(void)state;
	assert_int_equal(topo_from_json(json, ret), KNOWN);
	for (size_t i = 0; i < KNOWN; i++) {
		assert_string_equal(ret[i].host, known[i].host);
		assert_int_equal(ret[i].port, known[i].port);
		assert_int_equal(ret[i].ratio, known[i].ratio);
	}
	json_decref(json);
}

static void ratios_are_in_the_order_of_the_addresses(void **state)
{
	json_t *json = topo_ratios_json(known, KNOWN);
	char *text = json_dumps(json, JSON_COMPACT);

	(void)state;
	assert_string_equal(text, "{\"ratios\":[10,30,51]}");
	free(text);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_addresses_keep_their_ratios),
		cmocka_unit_test(new_addresses_get_the_mean_of_the_known),
		cmocka_unit_test(without_known_ratios_it_is_one),
		cmocka_unit_test(each_fault_has_its_line),
		cmocka_unit_test(there_are_so_many_addresses),
		cmocka_unit_test(old_and_new_ones_have_room_beside_each_other),
		cmocka_unit_test(to_json_and_back),
		cmocka_unit_test(ratios_are_in_the_order_of_the_addresses),
	};

	return cmocka_run_group_tests_name("topo", tests, NULL, NULL);
}
