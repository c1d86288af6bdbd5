/* Dialling, backoff and dialling again: see uplink.h. */
#include "common/module/uplink.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"

#include <stdio.h>

static const struct subflow_ops subflow_ops;

static void dial(struct uplink *u)
{
	struct hello hello;

	u->ops->hello(u, &hello);
	u->dials++;
	u->subflow = subflow_dial(u->worker, u->backend.host, u->backend.port, DIAL_WAIT_MAX_MS, &hello, u->key,
				  &subflow_ops, u);
}

static void on_redial(uv_timer_t *timer)
{
	dial(timer->data);
}

/* Between half of the backoff and all of it. */
static void dial_later(struct uplink *u)
{
	uint32_t half_ms = u->backoff_ms / 2;
	uint64_t wait_ms = half_ms + rng_below(&u->rng, half_ms + 1);

	u->backoff_ms = 2 * u->backoff_ms < REDIAL_MAX_MS ? 2 * u->backoff_ms : REDIAL_MAX_MS;
	uv_timer_start(&u->redial, on_redial, wait_ms, 0);
}

static void set_down(struct uplink *u, const char *why)
{
	bool was_up = u->is_up;

	u->is_up = false;
	u->subflow = NULL;
	snprintf(u->why, sizeof(u->why), "%s", why);
	dial_later(u);
	if (was_up) {
		u->losses++;
		u->ops->down(u, why);
	}
}

static void on_up(struct subflow *s, const struct hello_ack *ack)
{
	struct uplink *u = subflow_user(s);

	u->is_up = true;
	if (!u->ops->up(u, ack)) {
		u->is_up = false;
		/* Unless the callee has restarted it already. */
		if (u->subflow == s) {
			subflow_close(s, false);
			set_down(u, "not acceptable");
		}
		return;
	}
	u->backoff_ms = REDIAL_MIN_MS;
	u->why[0] = '\0';
	log_info("backend %s is up", u->name);
}

static int on_frame(struct subflow *s, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct uplink *u = subflow_user(s);

	return u->ops->frame(u, head, control, data);
}

static void on_blocked(struct subflow *s)
{
	struct uplink *u = subflow_user(s);

	u->ops->blocked(u);
}

static void on_room(struct subflow *s)
{
	struct uplink *u = subflow_user(s);

	u->ops->room(u);
}

static void on_lost(struct subflow *s, const char *why)
{
	struct uplink *u = subflow_user(s);
	bool is_news = u->is_up || u->why[0] == '\0';

	if (is_news)
		log_warn("backend %s: %s; dialling again", u->name, why);
	else
		log_debug("backend %s: %s", u->name, why);
	set_down(u, why);
}

static const struct subflow_ops subflow_ops = {
	.up = on_up,
	.frame = on_frame,
	.blocked = on_blocked,
	.room = on_room,
	.lost = on_lost,
};

void uplink_open(struct uplink *u, struct worker *w, const struct conf_address *backend,
		 const struct subflow_key *key, const struct uplink_ops *ops, void *user)
{
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	*u = (struct uplink){
		.ops = ops,
		.user = user,
		.worker = w,
		.backend = *backend,
		.key = key,
		.backoff_ms = REDIAL_MIN_MS,
	};
	hostport_text(backend->host, backend->port, u->name);
	rng_init(&u->rng, seed);
	uv_timer_init(&w->loop, &u->redial);
	u->redial.data = u;
	dial(u);
}

static void on_closed(uv_handle_t *handle)
{
	struct uplink *u = handle->data;

	u->ops->closed(u);
}

void uplink_close(struct uplink *u, bool is_orderly)
{
	if (u->subflow)
		subflow_close(u->subflow, is_orderly);
	u->subflow = NULL;
	u->is_up = false;
	uv_close((uv_handle_t *)&u->redial, on_closed);
}

void uplink_restart(struct uplink *u, const char *why)
{
	if (!u->subflow)
		return;
	log_debug("backend %s begins anew: %s", u->name, why);
	subflow_close(u->subflow, false);
	set_down(u, why);
}

const char *uplink_trouble(const struct uplink *u)
{
	return u->why[0] ? u->why : "no answer yet";
}
