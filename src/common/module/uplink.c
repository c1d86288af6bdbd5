/* Dialling, backoff, dialling again, and dialling beside what has stalled: see uplink.h. One timer
 * will do: without a subflow it ends the backoff, with a stalled one it brings the next attempt. */
#include "common/module/uplink.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/minmax.h"

#include <stdio.h>

static const struct subflow_ops subflow_ops;

static void on_timer(uv_timer_t *timer);

/* ---- dialling ---- */

/* As far as it is known: of the subflow that is there, or the last one that was, which may have
 * measured what this one was not given the time for. */
static uint64_t hop_least_us(const struct uplink *u)
{
	return max_u64(u->hop_least_us, u->subflow ? subflow_hop_least_us(u->subflow) : 0);
}

/* How long a connect may take. */
static uint32_t dial_wait_ms(const struct uplink *u)
{
	uint64_t rtt_us = hop_least_us(u);

	if (rtt_us == 0)
		return DIAL_WAIT_MAX_MS;
	return (uint32_t)min_u64(max_u64(DIAL_WAIT_MS, 4 * rtt_us / US_PER_MS), DIAL_WAIT_MAX_MS);
}

static struct subflow *dial(struct uplink *u)
{
	struct hello hello;

	u->ops->hello(u, &hello);
	u->dials++;
	return subflow_dial(u->worker, u->backend.host, u->backend.port, dial_wait_ms(u), &hello,
			    u->key, &subflow_ops, u);
}

/* Between half of the backoff and all of it. */
static void dial_later(struct uplink *u)
{
	uint32_t half_ms = u->backoff_ms / 2;
	uint64_t wait_ms = half_ms + rng_below(&u->rng, half_ms + 1);

	u->backoff_ms = 2 * u->backoff_ms < REDIAL_MAX_MS ? 2 * u->backoff_ms : REDIAL_MAX_MS;
	uv_timer_start(&u->timer, on_timer, wait_ms, 0);
}

/* ---- a fresh one beside a stalled one ---- */

static void drop_fresh(struct uplink *u)
{
	if (u->fresh)
		subflow_close(u->fresh, false);
	u->fresh = NULL;
}

static void dial_fresh(struct uplink *u)
{
	uint64_t life_ms = max_u64(FRESH_DIAL_MS, 4 * hop_least_us(u) / US_PER_MS);

	drop_fresh(u);
	u->fresh = dial(u);
	uv_timer_start(&u->timer, on_timer, min_u64(life_ms, DIAL_WAIT_MAX_MS), 0);
}

/* ---- losses ---- */

/* The subflow is gone, or about to be: no callback of it comes any more. */
static void forget_subflow(struct uplink *u)
{
	uint64_t rtt_us = u->subflow ? subflow_hop_least_us(u->subflow) : 0;

	if (rtt_us)
		u->hop_least_us = rtt_us;
	u->subflow = NULL;
	u->is_stalled = false;
	uv_timer_stop(&u->timer);
}

static void tell_down(struct uplink *u, const char *why)
{
	bool was_up = u->is_up;

	u->is_up = false;
	snprintf(u->why, sizeof(u->why), "%s", why);
	if (!was_up)
		return;
	u->losses++;
	u->ops->down(u, why);
}

static void set_down(struct uplink *u, const char *why)
{
	drop_fresh(u);
	forget_subflow(u);
	dial_later(u);
	tell_down(u, why);
}

static void on_timer(uv_timer_t *timer)
{
	struct uplink *u = timer->data;

	if (!u->subflow) {
		u->subflow = dial(u);
	} else if (u->is_up) {
		dial_fresh(u);
	} else {
		subflow_close(u->subflow, false);
		set_down(u, "it stalled during the handshake");
	}
}

/* ---- subflow_ops ---- */

static bool is_fresh(const struct uplink *u, const struct subflow *s)
{
	return s == u->fresh;
}

static void replace_by_fresh(struct uplink *u)
{
	struct subflow *fresh = u->fresh;

	u->fresh = NULL;
	subflow_close(u->subflow, false);
	forget_subflow(u);
	u->subflow = fresh;
	u->redials++;
	log_info("backend %s: a fresh connection takes the place of the stalled one", u->name);
	tell_down(u, "stalled; a fresh connection is up");
}

static void on_stalled(struct subflow *s, bool is_stalled)
{
	struct uplink *u = subflow_user(s);

	if (is_fresh(u, s))
		return; /* it has a short life anyway */
	u->is_stalled = is_stalled;
	if (is_stalled) {
		uv_timer_start(&u->timer, on_timer, FRESH_DIAL_MS, 0);
	} else {
		uv_timer_stop(&u->timer);
		drop_fresh(u);
	}
	if (!u->is_up)
		return;
	u->stalls += is_stalled;
	if (u->ops->stalled)
		u->ops->stalled(u, is_stalled);
}

static void on_up(struct subflow *s, const struct hello_ack *ack)
{
	struct uplink *u = subflow_user(s);

	if (is_fresh(u, s))
		replace_by_fresh(u);
	if (u->subflow != s)
		return; /* the owner wants none of it */
	uv_timer_stop(&u->timer);
	u->is_up = true;
	u->has_ended = false;
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
	if (subflow_is_stalled(s))
		on_stalled(s, true); /* it began before, and has not been told */
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

	if (is_fresh(u, s)) {
		log_debug("backend %s, a fresh connection: %s", u->name, why);
		u->fresh = NULL; /* the timer brings the next one */
		return;
	}
	if (is_news)
		log_warn("backend %s: %s; dialling again", u->name, why);
	else
		log_debug("backend %s: %s", u->name, why);
	u->has_ended = subflow_has_ended(s);
	set_down(u, why);
}

static const struct subflow_ops subflow_ops = {
	.up = on_up,
	.frame = on_frame,
	.blocked = on_blocked,
	.room = on_room,
	.stalled = on_stalled,
	.lost = on_lost,
};

/* ---- for the owner ---- */

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
	uv_timer_init(&w->loop, &u->timer);
	u->timer.data = u;
	u->subflow = dial(u);
}

static void on_closed(uv_handle_t *handle)
{
	struct uplink *u = handle->data;

	u->ops->closed(u);
}

void uplink_close(struct uplink *u, bool is_orderly)
{
	drop_fresh(u);
	if (u->subflow)
		subflow_close(u->subflow, is_orderly);
	u->subflow = NULL;
	u->is_up = false;
	uv_close((uv_handle_t *)&u->timer, on_closed);
}

void uplink_restart(struct uplink *u, const char *why)
{
	if (!u->subflow)
		return;
	log_debug("backend %s begins anew: %s", u->name, why);
	subflow_close(u->subflow, false);
	set_down(u, why);
}

void uplink_rest(struct uplink *u, const char *why)
{
	struct subflow *s = u->subflow;

	u->is_up = false;
	drop_fresh(u);
	forget_subflow(u);
	snprintf(u->why, sizeof(u->why), "%s", why);
	if (s)
		subflow_finish(s);
}

void uplink_wake(struct uplink *u)
{
	if (!u->subflow && !uv_is_active((uv_handle_t *)&u->timer))
		u->subflow = dial(u);
}

const char *uplink_trouble(const struct uplink *u)
{
	return u->why[0] ? u->why : "no answer yet";
}
