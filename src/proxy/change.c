/* Changing one address of a proxy while it runs: set_weight, add_path, remove_path. Checked here,
 * on the main thread, which keeps the lists; done at the workers. One change at a time. */
#include "common/base/log.h"
#include "common/module/topo.h"
#include "proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A change that is at the workers. */
struct change {
	struct proxy *proxy;
	struct control_request *req;
	enum hop_side side;
	struct conf_address address;
};

static const char *const side_names[] = {[HOP_UP] = "listen", [HOP_DOWN] = "backend"};

/* ---- arguments ---- */

static struct conf_address *find(struct proxy *px, enum hop_side side, const struct conf_address *a)
{
	struct address_list *l = &px->sides[side];

	for (size_t i = 0; i < l->count; i++)
		if (conf_address_is_same(&l->list[i], a))
			return &l->list[i];
	return NULL;
}

/* 0: `ret_is_given` says whether there is one. */
static int parse_side(const json_t *args, bool *ret_is_given, enum hop_side *ret, char why[256])
{
	const json_t *side = json_object_get(args, "side");

	*ret_is_given = side != NULL;
	if (!side)
		return 0;
	for (int i = HOP_UP; i <= HOP_DOWN; i++)
		if (json_is_string(side) && strcmp(json_string_value(side), side_names[i]) == 0) {
			*ret = (enum hop_side)i;
			return 0;
		}
	snprintf(why, 256, "side: expected \"backend\" or \"listen\"");
	return -1;
}

static void address_text(const struct conf_address *a, char ret_text[HOSTPORT_TEXT_MAX])
{
	hostport_text(a->host, a->port, ret_text);
}

/* All arguments; the side must be given. */
static int parse_new(struct proxy *px, const json_t *args, struct change *ret, char why[256])
{
	char text[HOSTPORT_TEXT_MAX];
	struct address_list *l;
	bool is_given;

	if (topo_parse_one(args, &ret->address, why) < 0 ||
	    parse_side(args, &is_given, &ret->side, why) < 0)
		return -1;
	address_text(&ret->address, text);
	l = &px->sides[ret->side];
	if (!is_given)
		snprintf(why, 256, "side: expected \"backend\" or \"listen\"");
	else if (find(px, ret->side, &ret->address))
		snprintf(why, 256, "%.200s is a %s address already", text, side_names[ret->side]);
	else if (l->count == CONF_ADDRESSES_MAX)
		snprintf(why, 256, "there are %u %s addresses already, and no more are possible",
			 CONF_ADDRESSES_MAX, side_names[ret->side]);
	else
		return 0;
	return -1;
}

/* All arguments of a change to an address that there is. */
static int parse_known(struct proxy *px, const json_t *args, struct change *ret, char why[256])
{
	bool is_given, is_listener, is_backend;
	char text[HOSTPORT_TEXT_MAX];

	if (topo_parse_one(args, &ret->address, why) < 0 ||
	    parse_side(args, &is_given, &ret->side, why) < 0)
		return -1;
	address_text(&ret->address, text);
	is_listener = find(px, HOP_UP, &ret->address);
	is_backend = find(px, HOP_DOWN, &ret->address);
	if (!is_given)
		ret->side = is_backend ? HOP_DOWN : HOP_UP;
	if (!is_given && is_listener && is_backend)
		snprintf(why, 256,
			 "%.128s is an address of both sides: expected side "
			 "\"backend\" or \"listen\"",
			 text);
	else if (!is_given && !is_listener && !is_backend)
		snprintf(why, 256, "%.200s is no address of this proxy", text);
	else if (!find(px, ret->side, &ret->address))
		snprintf(why, 256, "%.200s is no %s address", text, side_names[ret->side]);
	else
		return 0;
	return -1;
}

/* ---- at the workers ---- */

static void at_workers(struct daemon *d, const struct change *c, task_run *run, tasks_done *done)
{
	struct change *copy = malloc(sizeof(*copy));
	json_t *args = topo_to_json(&c->address, 1);

	if (!copy)
		abort();
	*copy = *c;
	copy->proxy->is_changing = true;
	json_object_set_new(args, "side", json_integer(c->side));
	daemon_each(d, run, args, done, copy);
	json_decref(args);
}

/* The change is over. Returns the request, which is to be answered. */
static struct control_request *end_change(struct change *c)
{
	struct control_request *req = c->req;

	c->proxy->is_changing = false;
	free(c);
	return req;
}

static void on_changed(struct daemon *d, json_t *result, void *user)
{
	const struct change *c = user;
	json_int_t ratio = c->address.ratio;
	char text[HOSTPORT_TEXT_MAX];

	(void)d;
	(void)result;
	address_text(&c->address, text);
	log_info("%s address %s: in use, ratio %u", side_names[c->side], text, c->address.ratio);
	control_reply_ok(end_change(user), json_pack("{s:I}", "ratio", ratio));
}

/* What nobody could drain was closed. */
static void on_removed(struct daemon *d, json_t *result, void *user)
{
	const struct change *c = user;
	char text[HOSTPORT_TEXT_MAX];

	(void)d;
	address_text(&c->address, text);
	log_info("%s address %s: removed", side_names[c->side], text);
	control_reply_ok(end_change(user), json_incref(result));
}

/* ---- operations ---- */

/* The change that begins with this request, or an answer to it. */
static bool begin(struct daemon *d, struct control_request *req, struct change *ret,
		  int (*parse)(struct proxy *px, const json_t *args, struct change *ret,
			       char why[256]))
{
	char why[256];

	*ret = (struct change){.proxy = d->user, .req = req};
	if (ret->proxy->is_changing) {
		control_reply_error(req, "busy", "another change is under way");
		return false;
	}
	if (parse(ret->proxy, control_args(req), ret, why) < 0) {
		control_reply_error(req, "bad_request", "%s", why);
		return false;
	}
	return true;
}

void proxy_set_weight(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct change c;

	if (!begin(d, req, &c, parse_known))
		return;
	if (c.address.ratio == 0) {
		control_reply_error(req, "bad_request",
				    "ratio: expected a whole number from 1 to %u", RATIO_MAX);
		return;
	}
	find(c.proxy, c.side, &c.address)->ratio = c.address.ratio;
	if (c.side == HOP_UP)
		gate_set_ratio(&c.proxy->gate, &c.address);
	at_workers(d, &c, proxy_weigh, on_changed);
}

void proxy_add_path(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct address_list *l;
	struct change c;
	char why[256];

	if (!begin(d, req, &c, parse_new))
		return;
	l = &c.proxy->sides[c.side];
	if (c.address.ratio == 0)
		c.address.ratio = topo_mean_ratio(l->list, l->count);
	if (c.side == HOP_UP && gate_add(&c.proxy->gate, &c.address, 1, why) < 0) {
		control_reply_error(req, "busy", "%s", why);
		return;
	}
	l->list[l->count++] = c.address;
	at_workers(d, &c, proxy_add_backend, on_changed);
}

void proxy_remove_path(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct address_list *l;
	struct conf_address *a;
	char text[HOSTPORT_TEXT_MAX];
	struct change c;

	if (!begin(d, req, &c, parse_known))
		return;
	l = &c.proxy->sides[c.side];
	if (l->count == 1) {
		address_text(&c.address, text);
		control_reply_error(req, "bad_request",
				    "%s is the last %s address: add another one first", text,
				    side_names[c.side]);
		return;
	}
	a = find(c.proxy, c.side, &c.address);
	memmove(a, a + 1, (size_t)(l->list + --l->count - a) * sizeof(*a));
	if (c.side == HOP_UP)
		gate_keep(&c.proxy->gate, l->list, l->count);
	at_workers(d, &c, proxy_remove, on_removed);
}
