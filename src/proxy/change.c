/* Changing one address of a proxy while it runs: set_weight, add_path, remove_path. Checked here,
 * on the main thread, which keeps the lists; done at the workers. One change at a time. */
#include "common/base/fail.h"
#include "common/base/hostport.h"
#include "common/base/log.h"
#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>

/* A change that is at the workers. */
struct change {
	struct proxy *proxy;
	struct control_request *req;
	enum hop_side side;
	struct conf_address address; /* with the ratio in force */
	struct topo_list next;	     /* of that side */
};

/* As arguments, and in messages. */
static const char *const side_names[] = {[HOP_UP] = "listen", [HOP_DOWN] = "backend"};
static const char *const side_whats[] = {[HOP_UP] = "listener", [HOP_DOWN] = "backend"};

/* ---- arguments ---- */

static int parse_side(const json_t *side, enum hop_side *ret, char why[WHY_BYTES_MAX])
{
	for (int i = HOP_UP; i <= HOP_DOWN; i++)
		if (json_is_string(side) && strcmp(json_string_value(side), side_names[i]) == 0) {
			*ret = (enum hop_side)i;
			return 0;
		}
	return fail_why(why, "side: expected \"backend\" or \"listen\"");
}

static bool is_used(const struct proxy *px, enum hop_side side, const struct conf_address *a)
{
	return topo_find(px->sides[side].list, px->sides[side].count, a);
}

/* The side that has the address. */
static int find_side(const struct proxy *px, const struct conf_address *a, enum hop_side *ret,
		     char why[WHY_BYTES_MAX])
{
	bool is_listener = is_used(px, HOP_UP, a), is_backend = is_used(px, HOP_DOWN, a);
	char name[HOSTPORT_TEXT_MAX];

	if (is_listener != is_backend) {
		*ret = is_backend ? HOP_DOWN : HOP_UP;
		return 0;
	}
	hostport_text(a->host, a->port, name);
	if (is_backend)
		return fail_why(why,
				"%.128s is an address of both sides: expected side \"backend\" or "
				"\"listen\"",
				name);
	return fail_why(why, "%.128s is no address of this proxy", name);
}

/* Only a new address must have its side named. */
static int parse(const json_t *args, enum topo_change kind, struct change *ret,
		 char why[WHY_BYTES_MAX])
{
	const json_t *side = json_object_get(args, "side");
	const struct conf_address *same;
	int err = topo_parse_one(args, &ret->address, why);

	if (err)
		return err;
	if (side || kind == TOPO_ADD)
		err = parse_side(side, &ret->side, why);
	else
		err = find_side(ret->proxy, &ret->address, &ret->side, why);
	if (!err)
		err = topo_change(args, kind, side_whats[ret->side], &ret->proxy->sides[ret->side],
				  &ret->next, why);
	if (err)
		return err;
	same = topo_find(ret->next.list, ret->next.count, &ret->address);
	if (same)
		ret->address = *same;
	return 0;
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
	copy->proxy->sides[c->side] = c->next;
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
	char name[HOSTPORT_TEXT_MAX];

	(void)d;
	(void)result;
	hostport_text(c->address.host, c->address.port, name);
	log_info("%s %s: in use, ratio %u", side_whats[c->side], name, c->address.ratio);
	control_reply_ok(end_change(user), json_pack("{s:I}", "ratio", ratio));
}

/* What nobody could drain was closed. */
static void on_removed(struct daemon *d, json_t *result, void *user)
{
	const struct change *c = user;
	char name[HOSTPORT_TEXT_MAX];

	(void)d;
	hostport_text(c->address.host, c->address.port, name);
	log_info("%s %s: removed", side_whats[c->side], name);
	control_reply_ok(end_change(user), json_incref(result));
}

/* ---- operations ---- */

/* The change that begins with this request, or an answer to it. */
static bool begin(struct daemon *d, struct control_request *req, enum topo_change kind,
		  struct change *ret)
{
	char why[WHY_BYTES_MAX];

	*ret = (struct change){.proxy = d->user, .req = req};
	if (ret->proxy->is_changing) {
		control_reply_error(req, "busy", "another change is under way");
		return false;
	}
	if (parse(control_args(req), kind, ret, why) < 0) {
		control_reply_error(req, "bad_request", "%s", why);
		return false;
	}
	return true;
}

void proxy_set_weight(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct change c;

	if (!begin(d, req, TOPO_SET_WEIGHT, &c))
		return;
	if (c.side == HOP_UP)
		gate_set_ratio(&c.proxy->gate, &c.address);
	at_workers(d, &c, proxy_weigh, on_changed);
}

void proxy_add_path(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct change c;
	char why[WHY_BYTES_MAX];

	if (!begin(d, req, TOPO_ADD, &c))
		return;
	if (c.side == HOP_UP && gate_add(&c.proxy->gate, &c.address, 1, why) < 0) {
		control_reply_error(req, "busy", "%s", why);
		return;
	}
	at_workers(d, &c, proxy_add_backend, on_changed);
}

void proxy_remove_path(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct change c;

	if (!begin(d, req, TOPO_REMOVE, &c))
		return;
	if (c.side == HOP_UP)
		gate_keep(&c.proxy->gate, c.next.list, c.next.count);
	at_workers(d, &c, proxy_remove, on_removed);
}
