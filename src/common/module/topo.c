/* Address lists of a topology change: see topo.h. */
#include "common/module/topo.h"

#include "common/base/fail.h"
#include "common/base/hostport.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct conf_address *topo_find(const struct conf_address *list, size_t count,
				     const struct conf_address *a)
{
	for (size_t i = 0; i < count; i++)
		if (conf_address_is_same(&list[i], a))
			return &list[i];
	return NULL;
}

/* What a new address gets beside these, 1 if there are none. */
static uint32_t mean_ratio(const struct topo_list *known)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < known->count; i++)
		sum += known->list[i].ratio;
	return sum >= known->count && known->count > 0 ? (uint32_t)(sum / known->count) : 1;
}

void topo_init(struct topo *t, const struct conf_address *list, size_t count)
{
	assert(count <= CONF_ADDRESSES_MAX);
	*t = (struct topo){.used.count = count};
	memcpy(t->used.list, list, count * sizeof(*list));
}

/* ---- one change at a time ---- */

static bool is_busy(const struct topo *t, struct control_request *req)
{
	if (t->is_busy)
		control_reply_error(req, "busy", "another topology change is under way");
	return t->is_busy;
}

bool topo_is_taken(const struct topo *t, struct control_request *req)
{
	if (is_busy(t, req))
		return true;
	if (t->is_prepared)
		control_reply_error(req, "busy",
				    "a topology is prepared already: update_topo or abort_topo "
				    "first");
	return t->is_prepared;
}

bool topo_lacks_prepared(const struct topo *t, const char *why, struct control_request *req)
{
	if (is_busy(t, req))
		return true;
	if (!t->is_prepared)
		control_reply_error(req, "not_prepared", "%s", why);
	return !t->is_prepared;
}

/* ---- requests ---- */

/* `where` is "" or "addresses[3].". */
static int parse_address(const json_t *j, const char *where, struct conf_address *ret,
			 char why[WHY_BYTES_MAX])
{
	const json_t *host = json_object_get(j, "host"), *port = json_object_get(j, "port");
	const json_t *ratio = json_object_get(j, "ratio");
	json_int_t p = json_integer_value(port), r = json_integer_value(ratio);

	*ret = (struct conf_address){.port = (uint16_t)p, .ratio = (uint32_t)r};
	if (!json_is_string(host) || parse_host(json_string_value(host), ret->host) < 0)
		return fail_why(why, "%shost: expected an address or a host name", where);
	if (!json_is_integer(port) || p < 1 || p > UINT16_MAX)
		return fail_why(why, "%sport: expected a whole number from 1 to 65535", where);
	if (ratio && (!json_is_integer(ratio) || r < 1 || r > RATIO_MAX))
		return fail_why(why, "%sratio: expected a whole number from 1 to %u", where,
				RATIO_MAX);
	return 0;
}

int topo_parse_one(const json_t *args, struct conf_address *ret, char ret_why[WHY_BYTES_MAX])
{
	return parse_address(args, "", ret, ret_why);
}

int topo_parse(const json_t *args, const struct topo_list *known, struct topo_list *ret,
	       char ret_why[WHY_BYTES_MAX])
{
	const json_t *list = json_object_get(args, "addresses");
	size_t count = json_array_size(list), fresh = 0;
	struct topo_list parsed = {.count = count};

	if (!json_is_array(list) || count < 1 || count > CONF_ADDRESSES_MAX)
		return fail_why(ret_why, "addresses: expected a list of 1 to %u",
				CONF_ADDRESSES_MAX);
	for (size_t i = 0; i < count; i++) {
		struct conf_address *a = &parsed.list[i];
		const struct conf_address *same;
		char where[32];

		snprintf(where, sizeof(where), "addresses[%zu].", i);
		if (parse_address(json_array_get(list, i), where, a, ret_why) < 0)
			return -EINVAL;
		if (topo_find(parsed.list, i, a))
			return fail_why(ret_why, "addresses[%zu]: %.128s:%u is there twice", i,
					a->host, a->port);
		same = topo_find(known->list, known->count, a);
		if (a->ratio == 0)
			a->ratio = same ? same->ratio : mean_ratio(known);
		fresh += !same;
	}
	if (known->count + fresh > CONF_ADDRESSES_MAX)
		return fail_why(ret_why,
				"addresses: %zu in use and %zu new ones stand beside each other "
				"during the change: expected at most %u in all",
				known->count, fresh, CONF_ADDRESSES_MAX);
	*ret = parsed;
	return 0;
}

static int check_change(enum topo_change change, const char *what, const struct conf_address *a,
			bool is_known, size_t known_count, char why[WHY_BYTES_MAX])
{
	char name[HOSTPORT_TEXT_MAX];

	hostport_text(a->host, a->port, name);
	if (change == TOPO_ADD && is_known)
		return fail_why(why, "%s %.128s is there already", what, name);
	if (change == TOPO_ADD && known_count == CONF_ADDRESSES_MAX)
		return fail_why(why, "there are %zu %ss, the most there can be", known_count, what);
	if (change != TOPO_ADD && !is_known)
		return fail_why(why, "no %s %.128s; `paths` lists what there is", what, name);
	if (change == TOPO_REMOVE && known_count == 1)
		return fail_why(why, "%s %.128s is the last one: close the module instead", what,
				name);
	if (change == TOPO_SET_WEIGHT && a->ratio == 0)
		return fail_why(why, "ratio: expected a whole number from 1 to %u", RATIO_MAX);
	return 0;
}

int topo_change(const json_t *args, enum topo_change change, const char *what,
		const struct topo_list *known, struct topo_list *ret, char ret_why[WHY_BYTES_MAX])
{
	struct topo_list changed = {.count = 0};
	const struct conf_address *same;
	struct conf_address a;

	if (parse_address(args, "", &a, ret_why) < 0)
		return -EINVAL;
	same = topo_find(known->list, known->count, &a);
	if (check_change(change, what, &a, same, known->count, ret_why) < 0)
		return -EINVAL;
	if (a.ratio == 0)
		a.ratio = mean_ratio(known);
	for (size_t i = 0; i < known->count; i++)
		if (&known->list[i] != same)
			changed.list[changed.count++] = known->list[i];
		else if (change != TOPO_REMOVE)
			changed.list[changed.count++] = a;
	if (change == TOPO_ADD)
		changed.list[changed.count++] = a;
	*ret = changed;
	return 0;
}

json_t *topo_to_json(const struct conf_address *list, size_t count)
{
	json_t *addresses = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(addresses, json_pack("{s:s, s:i, s:I}", "host", list[i].host,
							   "port", (int)list[i].port, "ratio",
							   (json_int_t)list[i].ratio));
	return json_pack("{s:o}", "addresses", addresses);
}

size_t topo_from_json(const json_t *args, struct conf_address ret_addresses[CONF_ADDRESSES_MAX])
{
	const json_t *list = json_object_get(args, "addresses");
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++) {
		const json_t *j = json_array_get(list, i);
		struct conf_address *a = &ret_addresses[i];

		*a = (struct conf_address){
			.port = (uint16_t)json_integer_value(json_object_get(j, "port")),
			.ratio = (uint32_t)json_integer_value(json_object_get(j, "ratio")),
		};
		snprintf(a->host, sizeof(a->host), "%s",
			 json_string_value(json_object_get(j, "host")));
	}
	return count;
}

json_t *topo_ratios_json(const struct conf_address *list, size_t count)
{
	json_t *ratios = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(ratios, json_integer(list[i].ratio));
	return json_pack("{s:o}", "ratios", ratios);
}

json_t *topo_reply_json(const struct conf_address *list, size_t count, const json_t *args)
{
	json_t *reply = topo_ratios_json(list, count);
	const struct conf_address *same;
	struct conf_address a;
	char why[WHY_BYTES_MAX];

	if (topo_parse_one(args, &a, why) < 0)
		return reply;
	same = topo_find(list, count, &a);
	if (same)
		json_object_set_new(reply, "ratio", json_integer(same->ratio));
	return reply;
}
