/* Operations and their arguments: see operation.h. */
#include "controller/operation.h"

#include "common/base/limits.h"
#include "common/conf/conf.h"
#include "common/flow/scheduler.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What stands behind an operation. */
enum arguments {
	TAKES_NOTHING,
	TAKES_ADDRESSES,     /* n and so many */
	TAKES_NAME,	     /* of a scheduler */
	TAKES_PATH,	     /* an address; perhaps a side */
	TAKES_PATH_WEIGHT,   /* and a ratio before that */
	TAKES_PATH_OPTIONAL, /* so too, but it may be missing */
};

struct operation {
	const char *name;
	enum arguments takes;
	const char *arguments;
	const char *help;
};

static const struct operation operations[] = {
	{"health_check", TAKES_NOTHING, "", "is the module live, ready, degraded?"},
	{"update_topo_pre", TAKES_ADDRESSES, " N IP1 PORT1 ...",
	 "prepare a topology of N neighbours"},
	{"update_topo", TAKES_NOTHING, "", "go over to the prepared topology"},
	{"abort_topo", TAKES_NOTHING, "", "drop the prepared topology"},
	{"set_weight", TAKES_PATH_WEIGHT, " IP PORT RATIO [SIDE]",
	 "change the ratio of an address"},
	{"add_path", TAKES_PATH_OPTIONAL, " IP PORT [RATIO] [SIDE]", "use one address more"},
	{"remove_path", TAKES_PATH, " IP PORT [SIDE]", "drain what goes by an address; forget it"},
	{"set_scheduler", TAKES_NAME, " NAME", "split what is sent in another way"},
	{"reset", TAKES_NOTHING, "", "end all sessions and listen again"},
	{"close", TAKES_NOTHING, "", "let sessions finish, then end the process"},
	{"stats", TAKES_NOTHING, "", "counters, memory and paths"},
	{"paths", TAKES_NOTHING, "", "what is known of each path"},
	{"sessions", TAKES_NOTHING, "", "the sessions that are open"},
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

/* argv: an address's host and port; `number` says which of several it is. */
static json_t *address_to_json(char *const *argv, const char *number,
			       char ret_why[OPERATION_WHY_MAX])
{
	char host[CONF_HOST_MAX];
	uint64_t port;

	if (parse_host(argv[0], host)) {
		snprintf(ret_why, OPERATION_WHY_MAX,
			 "ip%s \"%.64s\": expected an IPv4 or IPv6 address or a host name", number,
			 argv[0]);
		return NULL;
	}
	if (parse_u64(argv[1], 1, UINT16_MAX, &port)) {
		snprintf(ret_why, OPERATION_WHY_MAX,
			 "port%s \"%.64s\": expected a whole number from 1 to 65535", number,
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
		char number[24];
		json_t *address;

		snprintf(number, sizeof(number), "%zu", i + 1);
		address = address_to_json(argv + 1 + 2 * i, number, ret_why);

		if (!address) {
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, address);
	}
	return list;
}

static bool is_side(const char *text)
{
	return strcmp(text, "backend") == 0 || strcmp(text, "listen") == 0;
}

static int want_none(const struct operation *o, int argc, char *const *argv,
		     char ret_why[OPERATION_WHY_MAX])
{
	if (argc <= 0)
		return 0;
	snprintf(ret_why, OPERATION_WHY_MAX, "argument \"%.64s\": expected %s behind %s%s", argv[0],
		 o->takes == TAKES_NOTHING ? "none" : "no more", o->name, o->arguments);
	return -EINVAL;
}

/* argv: an address, a ratio, a side, as far as the operation takes them. */
static json_t *path_to_json(const struct operation *o, int argc, char *const *argv,
			    char ret_why[OPERATION_WHY_MAX])
{
	bool needs_ratio = o->takes == TAKES_PATH_WEIGHT;
	int at = 2;
	uint64_t ratio;
	json_t *j;

	if (argc < 2 + needs_ratio) {
		snprintf(ret_why, OPERATION_WHY_MAX, "%s: expected%s", o->name, o->arguments);
		return NULL;
	}
	j = address_to_json(argv, "", ret_why);
	if (!j)
		return NULL;
	if (o->takes != TAKES_PATH && argc > at && !is_side(argv[at])) {
		if (parse_u64(argv[at], 1, RATIO_MAX, &ratio)) {
			snprintf(ret_why, OPERATION_WHY_MAX,
				 "ratio \"%.64s\": expected a whole number from 1 to %u", argv[at],
				 RATIO_MAX);
			goto fail;
		}
		json_object_set_new(j, "ratio", json_integer((json_int_t)ratio));
		at++;
	}
	if (needs_ratio && !json_object_get(j, "ratio")) {
		snprintf(ret_why, OPERATION_WHY_MAX, "%s: expected%s", o->name, o->arguments);
		goto fail;
	}
	if (argc > at && is_side(argv[at]))
		json_object_set_new(j, "side", json_string(argv[at++]));
	if (want_none(o, argc - at, argv + at, ret_why) < 0)
		goto fail;
	return j;

fail:
	json_decref(j);
	return NULL;
}

/* The request without its "op"; NULL when there is something wrong. */
static json_t *arguments_to_json(const struct operation *o, int argc, char *const *argv,
				 char ret_why[OPERATION_WHY_MAX])
{
	json_t *addresses;

	switch (o->takes) {
	case TAKES_NOTHING:
		return want_none(o, argc, argv, ret_why) < 0 ? NULL : json_object();
	case TAKES_ADDRESSES:
		addresses = addresses_to_json(argc, argv, ret_why);
		return addresses ? json_pack("{s:o}", "addresses", addresses) : NULL;
	case TAKES_NAME:
		if (argc < 1) {
			snprintf(ret_why, OPERATION_WHY_MAX, "%s: expected%s", o->name,
				 o->arguments);
			return NULL;
		}
		if (want_none(o, argc - 1, argv + 1, ret_why) < 0)
			return NULL;
		return json_pack("{s:s}", "scheduler", argv[0]);
	case TAKES_PATH:
	case TAKES_PATH_WEIGHT:
	case TAKES_PATH_OPTIONAL:
		return path_to_json(o, argc, argv, ret_why);
	}
	return NULL;
}

int operation_request(int argc, char *const *argv, json_t **ret_request,
		      char ret_why[OPERATION_WHY_MAX])
{
	const struct operation *o = find(argv[0]);
	json_t *request, *arguments;

	if (!o) {
		say_unknown(argv[0], ret_why);
		return -EINVAL;
	}
	arguments = arguments_to_json(o, argc - 1, argv + 1, ret_why);
	if (!arguments)
		return -EINVAL;
	request = json_pack("{s:s}", "op", o->name);
	json_object_update(request, arguments);
	json_decref(arguments);
	*ret_request = request;
	return 0;
}

void operation_help(FILE *out)
{
	char schedulers[NAMES_TEXT_MAX];

	names_text(scheduler_names, schedulers);
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s", operations[i].name, operations[i].arguments);
		fprintf(out, "  %-32s %s\n", left, operations[i].help);
	}
	fprintf(out,
		"\nSIDE is backend or listen; a proxy needs it for add_path, and for an address "
		"that is\non both sides. NAME is one of:\n%s.\n",
		schedulers);
}
