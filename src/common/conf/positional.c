/* The fixed arguments, as the users and the orchestrator of the original give them:
 *   <listen_num> <backend_num> {<ip> <port> <ratio>}... <comm_ip> <comm_port>
 * Each error names the argument by its place (from 1, options not counted) and its name. */
#include "common/conf/draft.h"

#include <errno.h>
#include <inttypes.h>

struct cursor {
	struct draft *draft;
	char *const *args;
	int at; /* the next one, from 0 */
};

static void place_format(const struct cursor *c, const char *name, size_t number,
			 char ret_where[WHERE_MAX])
{
	if (number > 0)
		snprintf(ret_where, WHERE_MAX, "argument %d (%s%zu)", c->at + 1, name, number);
	else
		snprintf(ret_where, WHERE_MAX, "argument %d (%s)", c->at + 1, name);
}

static int take_num(struct cursor *c, enum side s, size_t *ret_count)
{
	enum module m = c->draft->conf.module;
	const char *text = c->args[c->at];
	char name[32], where[WHERE_MAX];
	uint64_t count;

	snprintf(name, sizeof(name), "%s_num", side_name(s));
	place_format(c, name, 0, where);
	if (parse_u64(text, 1, side_max(m, s), &count)) {
		if (side_max(m, s) == 1)
			return draft_fail(c->draft, where, text, "expected 1, as always for an %s",
					  module_name(m));
		return draft_fail(c->draft, where, text, "expected a whole number from 1 to %zu",
				  side_max(m, s));
	}
	c->at++;
	*ret_count = (size_t)count;
	return 0;
}

/* The three arguments of one address: `number` counts from 1. */
static int take_address(struct cursor *c, enum side s, size_t number)
{
	static const char *const names[SIDE_COUNT][3] = {
		[SIDE_LISTEN] = {"listen_ip", "listen_port", "listen_write_ratio"},
		[SIDE_BACKEND] = {"backend_ip", "backend_port", "backend_write_ratio"},
	};
	struct conf_address a = {.port = 0};
	char where[WHERE_MAX], where_ip[WHERE_MAX];

	place_format(c, names[s][0], number, where_ip);
	if (address_set_host(c->draft, &a, where_ip, c->args[c->at]))
		return -EINVAL;
	c->at++;
	place_format(c, names[s][1], number, where);
	if (address_set_port(c->draft, &a, where, c->args[c->at]))
		return -EINVAL;
	c->at++;
	place_format(c, names[s][2], number, where);
	if (address_set_ratio(c->draft, &a, s, where, c->args[c->at]))
		return -EINVAL;
	c->at++;
	return address_add(c->draft, s, where_ip, &a);
}

static int take_side(struct cursor *c, enum side s, size_t count)
{
	size_t *held;

	side_list(c->draft, s, &held);
	*held = 0;
	for (size_t number = 1; number <= count; number++)
		if (take_address(c, s, number))
			return -EINVAL;
	return 0;
}

static int take_comm(struct cursor *c)
{
	struct conf_address a = {.port = 0};
	char where[WHERE_MAX];

	place_format(c, "comm_ip", 0, where);
	if (address_set_host(c->draft, &a, where, c->args[c->at]))
		return -EINVAL;
	c->at++;
	place_format(c, "comm_port", 0, where);
	if (address_set_port(c->draft, &a, where, c->args[c->at]))
		return -EINVAL;
	c->draft->conf.comm = a;
	return 0;
}

int positional_parse(struct draft *d, int count, char *const *args)
{
	struct cursor c = {.draft = d, .args = args};
	size_t listens = 0, backends = 0, expected;
	char came[32];

	snprintf(came, sizeof(came), "%d argument%s", count, count == 1 ? "" : "s");
	if (take_num(&c, SIDE_LISTEN, &listens))
		return -EINVAL;
	if (count == 1)
		return draft_fail(d, came, NULL, "expected backend_num and the addresses next");
	if (take_num(&c, SIDE_BACKEND, &backends))
		return -EINVAL;
	expected = 2 + 3 * (listens + backends) + 2;
	if ((size_t)count != expected)
		return draft_fail(d, came, NULL,
				  "expected %zu for listen_num %zu and backend_num %zu", expected,
				  listens, backends);
	if (take_side(&c, SIDE_LISTEN, listens) || take_side(&c, SIDE_BACKEND, backends))
		return -EINVAL;
	return take_comm(&c);
}
