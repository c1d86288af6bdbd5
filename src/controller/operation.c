/* Operations and their arguments: see operation.h. All but update_topo_pre stand alone. */
#include "controller/operation.h"

#include "common/base/limits.h"
#include "common/conf/conf.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct operation {
	const char *name;
	const char *arguments;
	const char *help;
};

static const struct operation operations[] = {
	{"health_check", "", "is the module live, ready, degraded?"},
	{"update_topo_pre", " N IP1 PORT1 ...", "prepare a topology of N neighbours"},
	{"update_topo", "", "go over to the prepared topology"},
	{"abort_topo", "", "drop the prepared topology"},
	{"reset", "", "end all sessions and listen again"},
	{"close", "", "let sessions finish, then end the process"},
	{"stats", "", "counters, memory and paths"},
	{"paths", "", "what is known of each path"},
	{"sessions", "", "the sessions that are open"},
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

static const struct operation *find(const char *name)
{
	for (size_t i = 0; i < OPERATION_COUNT; i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

static void say_unknown(const char *name, char ret_why[OPERATION_WHY_MAX])
{
	size_t len = (size_t)snprintf(ret_why, OPERATION_WHY_MAX,
				      "operation \"%.64s\": not known, expected one of", name);

	for (size_t i = 0; i < OPERATION_COUNT; i++)
		len += (size_t)snprintf(ret_why + len, OPERATION_WHY_MAX - len, "%s %s",
					i == 0 ? "" : ",", operations[i].name);
}

/* argv: an address's host and port. */
static json_t *address_to_json(char *const *argv, size_t number, char ret_why[OPERATION_WHY_MAX])
{
	char host[CONF_HOST_MAX];
	uint64_t port;

	if (parse_host(argv[0], host)) {
		snprintf(ret_why, OPERATION_WHY_MAX,
			 "ip%zu \"%.64s\": expected an IPv4 or IPv6 address or a host name", number,
			 argv[0]);
		return NULL;
	}
	if (parse_u64(argv[1], 1, UINT16_MAX, &port)) {
		snprintf(ret_why, OPERATION_WHY_MAX,
			 "port%zu \"%.64s\": expected a whole number from 1 to 65535", number,
			 argv[1]);
		return NULL;
	}
	return json_pack("{s:s, s:I}", "host", host, "port", (json_int_t)port);
}

/* argv: n and n times an address. NULL when there is something wrong. */
static json_t *addresses_to_json(int argc, char *const *argv, char ret_why[OPERATION_WHY_MAX])
{
	json_t *list;
	uint64_t count;

	if (argc < 1 || parse_u64(argv[0], 1, PATHS_MAX, &count)) {
		snprintf(ret_why, OPERATION_WHY_MAX,
			 "n \"%.64s\": expected the number of addresses, from 1 to %u",
			 argc < 1 ? "" : argv[0], PATHS_MAX);
		return NULL;
	}
	if ((uint64_t)argc != 1 + 2 * count) {
		snprintf(ret_why, OPERATION_WHY_MAX,
			 "n \"%s\": expected as many addresses and ports, %d arguments, not %d",
			 argv[0], (int)(2 * count), argc - 1);
		return NULL;
	}
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *address = address_to_json(argv + 1 + 2 * i, i + 1, ret_why);

		if (!address) {
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, address);
	}
	return list;
}

int operation_request(int argc, char *const *argv, json_t **ret_request,
		      char ret_why[OPERATION_WHY_MAX])
{
	const struct operation *o = find(argv[0]);
	json_t *addresses;

	if (!o) {
		say_unknown(argv[0], ret_why);
		return -EINVAL;
	}
	if (o->arguments[0] == '\0') {
		if (argc > 1) {
			snprintf(ret_why, OPERATION_WHY_MAX,
				 "argument \"%.64s\": expected none behind %s", argv[1], o->name);
			return -EINVAL;
		}
		*ret_request = json_pack("{s:s}", "op", o->name);
		return 0;
	}
	addresses = addresses_to_json(argc - 1, argv + 1, ret_why);
	if (!addresses)
		return -EINVAL;
	*ret_request = json_pack("{s:s, s:o}", "op", o->name, "addresses", addresses);
	return 0;
}

void operation_help(FILE *out)
{
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s", operations[i].name, operations[i].arguments);
		fprintf(out, "  %-32s %s\n", left, operations[i].help);
	}
}
