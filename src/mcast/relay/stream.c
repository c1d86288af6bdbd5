/* Sockets and owners of streams: see stream.h. */
#include "mcast/relay/stream.h"

#include "common/base/log.h"
#include "mcast/common/rule_json.h"
#include "mcast/relay/dedup_file.h"
#include "mcast/relay/input.h"
#include "mcast/relay/net.h"
#include "mcast/relay/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- by name ---- */

struct stream *stream_find(const struct supervisor *s, const char *name)
{
	struct hashed *h = hashed_first(&s->by_name, rule_name_hash(name));

	for (; h; h = h->next) {
		struct stream *st = container_of(h, struct stream, by_name);

		if (strcmp(st->rule.name, name) == 0)
			return st;
	}
	return NULL;
}

/* ---- inputs ---- */

static void close_input(struct stream_input *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	in->interface = 0;
}

/* Nothing is to come by it any more. */
static void shut_input(struct stream *st, unsigned i)
{
	rings_unpoint(st->supervisor->rings, st, i);
	close_input(&st->inputs[i]);
}

static bool open_input(struct stream *st, unsigned i)
{
	struct stream_input *in = &st->inputs[i];
	char why[WHY_BYTES_MAX];
	const struct input_kind kind = {.is_joint = st->rule.input_count == 1,
					.is_own_only = rings_are_copies(st->supervisor->rings),
					.buffer_bytes = st->supervisor->options->buffer_bytes};
	int err = input_open(&st->rule.inputs[i], &kind, &in->fd, &in->interface, why);

	if (err && strcmp(why, in->why) != 0)
		log_warn("rule \"%s\" waits: %s", st->rule.name, why);
	else if (!err && *in->why)
		log_info("rule \"%s\": %s is there", st->rule.name, st->rule.inputs[i].interface);
	memcpy(in->why, err ? why : "", err ? sizeof(why) : 1);
	if (!err)
		st->supervisor->board->streams[st->slot].overflows[i] = 0;
	return !err;
}

/* Sockets have come or gone. */
static bool look_at_input(struct stream *st, unsigned i)
{
	struct stream_input *in = &st->inputs[i];
	unsigned now = interface_index(st->rule.inputs[i].interface);

	if (in->fd >= 0 && now == in->interface)
		return false;
	if (in->fd >= 0) {
		shut_input(st, i);
		open_input(st, i); /* which may have come back as another one */
		return true;
	}
	return open_input(st, i);
}

static void close_dedup(struct stream *st)
{
	if (st->dedup_fd >= 0)
		close(st->dedup_fd);
	st->dedup_fd = -1;
}

/* A new one, for a rule with two inputs. */
static void open_dedup(struct stream *st)
{
	close_dedup(st);
	if (st->rule.input_count > 1)
		st->dedup_fd = dedup_file_new(st->rule.match);
}

bool stream_is_live(const struct stream *st, const char **ret_why)
{
	for (unsigned i = 0; i < st->rule.input_count; i++) {
		if (st->inputs[i].fd >= 0)
			continue;
		if (ret_why)
			*ret_why = st->inputs[i].why;
		return false;
	}
	return true;
}

/* ---- owners ---- */

/* To own it, or to expect it. */
static void tell_of(struct stream *st, struct process *p, const char *what)
{
	json_t *body = json_pack("{s:s, s:i, s:o}", "do", what, "slot", (int)st->slot, "rule",
				 rule_to_json(&st->rule));
	struct message_inputs in = {.dedup_fd = st->dedup_fd};
	int fds[MESSAGE_FDS_MAX];
	size_t count;

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		in.fds[i] = st->inputs[i].fd;
		in.interfaces[i] = st->inputs[i].interface;
	}
	count = message_put_inputs(body, &in, fds);
	rings_reach(st->supervisor->rings, st, p);
	process_send_of(p, body, fds, count, st->slot);
}

/* Only when another one has the sockets may the old owner close them. */
static void give(struct stream *st, struct process *p)
{
	struct process *old = st->owner;

	st->owner = p;
	p->stream_count++;
	/* Until it is measured again: the next ones are for others. */
	p->load_pps += st->is_measured ? st->load_pps : st->supervisor->mean_pps;
	tell_of(st, p, "own");
	if (old && old != p)
		process_forget(old, st->slot);
	if (old)
		process_leave(old);
}

static void own(struct stream *st, struct process *p)
{
	st->state = STREAM_OWNED;
	give(st, p);
}

static void set_next(struct stream *st, struct process *p)
{
	struct process *old = st->next;

	st->next = p;
	if (p)
		p->stream_count++;
	if (old)
		process_leave(old);
}

static void order_release(struct stream *st)
{
	process_send(st->owner,
		     json_pack("{s:s, s:i, s:b}", "do", "release", "slot", (int)st->slot, "ends",
			       st->state == STREAM_LEAVING),
		     NULL, 0);
}

/* It keeps the sockets until another one has them, or nobody wants them. */
static void leave_owner(struct stream *st)
{
	struct process *old = st->owner;

	st->owner = NULL;
	if (!old)
		return;
	process_forget(old, st->slot);
	process_leave(old);
}

void stream_place(struct stream *st)
{
	struct process *p = staff_place(st->supervisor);

	if (p) {
		own(st, p);
		return;
	}
	leave_owner(st);
	st->state = STREAM_HOMELESS;
}

/* Packets that wait in sockets go with them. Where they wait in a worker's ring, the new owner has
 * to know the stream before the first one comes there, and the old one has to empty its ring. */
static void prepare(struct stream *st, struct process *next)
{
	st->state = STREAM_PREPARING;
	st->is_pointed = false;
	set_next(st, next);
	tell_of(st, next, "expect");
}

bool stream_move(struct stream *st, struct process *to)
{
	bool is_on_its_way = st->state == STREAM_PREPARING || st->state == STREAM_RELEASING;

	if (!to || st->state == STREAM_LEAVING)
		return false;
	if (st->state == STREAM_OWNED && st->owner == to)
		return true;
	if (st->state == STREAM_HOMELESS) {
		own(st, to);
	} else if (!rings_carry(st->supervisor->rings, st)) {
		set_next(st, to);
		if (st->state == STREAM_OWNED)
			order_release(st);
		st->state = STREAM_RELEASING;
	} else if (!is_on_its_way) {
		prepare(st, to);
	}
	return st->next == to || st->owner == to;
}

/* All stays as it was. */
static void give_up(struct stream *st)
{
	process_forget(st->next, st->slot);
	set_next(st, NULL);
	/* Its rule or sockets may have changed meanwhile. */
	own(st, st->owner);
	rings_point(st->supervisor->rings, st, st->owner);
}

void stream_on_told(struct stream *st, struct process *p)
{
	struct supervisor *s = st->supervisor;

	if (st->state == STREAM_OWNED && st->owner == p)
		rings_point(s->rings, st, p);
	if (st->state != STREAM_PREPARING || st->next != p)
		return;
	rings_point(s->rings, st, p);
	if (!rings_is_pointed(s->rings, st, p)) {
		give_up(st); /* it has got no ring */
		return;
	}
	st->is_pointed = true;
	supervisor_turn_soon(s);
}

void stream_on_turned(struct stream *st)
{
	if (st->state != STREAM_PREPARING || !st->is_pointed)
		return;
	st->state = STREAM_RELEASING;
	order_release(st);
}

static void end_now(struct stream *st)
{
	if (st->next)
		process_forget(st->next, st->slot);
	set_next(st, NULL);
	leave_owner(st);
	stream_free(st);
}

void stream_on_released(struct stream *st)
{
	bool is_expected = st->next && (st->supervisor->rings || process_is_usable(st->next));

	if (st->state == STREAM_LEAVING) {
		end_now(st);
		return;
	}
	if (is_expected)
		own(st, st->next);
	else
		stream_place(st);
	set_next(st, NULL);
	if (st->owner && !process_is_usable(st->owner))
		stream_move(st, staff_place(st->supervisor));
}

/* ---- deaths ---- */

static void on_next_dead(struct stream *st, struct process *heir)
{
	enum stream_state state = st->state;

	set_next(st, heir);
	if (heir && state != STREAM_LEAVING)
		tell_of(st, heir, "expect");
	else if (state == STREAM_PREPARING)
		own(st, st->owner);
}

/* What is left in the ring is the heir's; the rest goes on as it was to go. */
static void on_owner_dead(struct stream *st, struct process *heir)
{
	enum stream_state state = st->state;

	if (!heir || state == STREAM_LEAVING) {
		leave_owner(st);
		stream_on_released(st);
		return;
	}
	give(st, heir);
	if (state == STREAM_RELEASING)
		order_release(st);
}

void stream_on_death(struct stream *st, struct process *p, struct process *heir)
{
	if (st->next == p)
		on_next_dead(st, heir);
	if (st->owner == p)
		on_owner_dead(st, heir);
}

void stream_point_again(struct stream *st)
{
	if (st->state == STREAM_OWNED && !rings_is_pointed(st->supervisor->rings, st, st->owner))
		rings_point(st->supervisor->rings, st, st->owner);
}

void stream_look_at_inputs(struct stream *st)
{
	bool has_changed = false;

	for (unsigned i = 0; i < st->rule.input_count; i++)
		has_changed |= look_at_input(st, i);
	if (st->state == STREAM_OWNED &&
	    (has_changed || !rings_have(st->supervisor->rings, st, st->owner)))
		own(st, st->owner);
}

/* ---- life ---- */

static struct stream *stream_at(struct supervisor *s, uint32_t slot, const struct rule *rule)
{
	struct stream *st = calloc(1, sizeof(*st));

	if (!st)
		abort();
	st->supervisor = s;
	st->slot = slot;
	rule_copy(rule, &st->rule);
	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++)
		st->inputs[i].fd = -1;
	st->dedup_fd = -1;
	list_push_back(&s->streams, &st->node);
	s->slots[slot] = st;
	hashed_put(&s->by_name, &st->by_name, rule_name_hash(rule->name));
	return st;
}

static uint32_t free_slot(struct supervisor *s)
{
	for (uint32_t i = 0; i < BOARD_SLOTS_MAX; i++) {
		uint32_t slot = (s->slot_hint + i) % BOARD_SLOTS_MAX;

		if (s->slots[slot])
			continue;
		s->slot_hint = slot + 1;
		return slot;
	}
	return BOARD_SLOTS_MAX;
}

struct stream *stream_new(struct supervisor *s, const struct rule *rule)
{
	uint32_t slot = free_slot(s);
	struct stream *st;

	if (slot == BOARD_SLOTS_MAX)
		return NULL;
	s->board->streams[slot] = (struct board_stream){0};
	st = stream_at(s, slot, rule);
	for (unsigned i = 0; i < rule->input_count; i++)
		open_input(st, i);
	open_dedup(st);
	stream_place(st);
	return st;
}

static struct stream *adopt(struct supervisor *s, uint32_t slot, const struct rule *rule,
			    const struct message_inputs *take)
{
	struct stream *st = stream_at(s, slot, rule);

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		st->inputs[i].fd = take->fds[i];
		st->inputs[i].interface = take->interfaces[i];
	}
	st->dedup_fd = take->dedup_fd;
	st->seen_packets = s->board->streams[slot].received_packets;
	return st;
}

static void adopt_owner(struct stream *st, struct process *owner, bool is_released)
{
	st->owner = owner;
	owner->stream_count++;
	st->state = is_released ? STREAM_RELEASING : STREAM_OWNED;
}

void stream_adopt(struct supervisor *s, uint32_t slot, const struct rule *rule,
		  const struct message_inputs *take, struct process *owner, bool is_released)
{
	adopt_owner(adopt(s, slot, rule, take), owner, is_released);
}

void stream_adopt_expected(struct supervisor *s, uint32_t slot, const struct rule *rule,
			   const struct message_inputs *take, struct process *next)
{
	struct stream *st = adopt(s, slot, rule, take);

	st->state = STREAM_RELEASING;
	set_next(st, next);
}

/* Both relay it, as far as they know: packets come to one of them, and the other one may have some
 * left. */
static void adopt_second(struct stream *st, struct process *p)
{
	struct process *first = st->owner;

	set_next(st, p);
	if (rings_is_pointed(st->supervisor->rings, st, p))
		return;
	p->stream_count++;
	st->owner = p;
	set_next(st, first);
	process_leave(first);
}

/* The earlier supervisor may have died while the stream moved: two workers have it then. */
void stream_adopt_again(struct stream *st, struct process *p, bool is_released, bool is_expected)
{
	if (is_expected && !st->next) {
		set_next(st, p);
	} else if (!st->owner) {
		adopt_owner(st, p, is_released);
	} else if (is_released || is_expected) {
		process_forget(p, st->slot);
	} else if (st->state == STREAM_RELEASING) {
		process_forget(st->owner, st->slot);
		process_leave(st->owner);
		adopt_owner(st, p, false);
	} else if (st->supervisor->rings && !st->next) {
		adopt_second(st, p);
	} else {
		process_forget(p, st->slot);
	}
}

void stream_settle(struct stream *st)
{
	if (st->state == STREAM_RELEASING) {
		stream_on_released(st);
	} else if (st->state == STREAM_OWNED && st->next) {
		struct process *next = st->next;

		prepare(st, next);
	} else if (st->state == STREAM_OWNED) {
		/* The earlier supervisor may have begun to take it away. */
		if (st->supervisor->rings)
			own(st, st->owner);
		if (!process_is_usable(st->owner))
			stream_move(st, staff_place(st->supervisor));
	}
}

static void replace_rule(struct stream *st, const struct rule *rule)
{
	rule_done(&st->rule);
	rule_copy(rule, &st->rule);
}

/* Inputs that stay keep their sockets, and with them what waits there. But a stream that gets a
 * second input, or loses one, needs another kind of socket. */
void stream_change(struct stream *st, const struct rule *rule)
{
	bool is_other_kind = rule->input_count != st->rule.input_count;
	bool is_other_match = rule->match != st->rule.match;

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		bool stays = !is_other_kind && i < rule->input_count &&
			     rule_input_is_same(&rule->inputs[i], &st->rule.inputs[i]);

		if (!stays)
			shut_input(st, i);
	}
	replace_rule(st, rule);
	if (is_other_kind || is_other_match)
		open_dedup(st);
	for (unsigned i = 0; i < rule->input_count; i++)
		if (st->inputs[i].fd < 0)
			open_input(st, i);
	if (st->state == STREAM_OWNED)
		own(st, st->owner);
}

void stream_end(struct stream *st)
{
	enum stream_state was = st->state;

	hashed_remove(&st->supervisor->by_name, &st->by_name);
	for (unsigned i = 0; i < st->rule.input_count; i++)
		rings_unpoint(st->supervisor->rings, st, i);
	st->state = STREAM_LEAVING;
	if (was != STREAM_HOMELESS)
		order_release(st);
	else
		stream_free(st);
}

void stream_free(struct stream *st)
{
	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++)
		close_input(&st->inputs[i]);
	close_dedup(st);
	if (st->state != STREAM_LEAVING)
		hashed_remove(&st->supervisor->by_name, &st->by_name);
	list_remove(&st->node);
	/* The next supervisor has it still. */
	if (!st->supervisor->is_ending)
		report_add(&st->supervisor->board->ended,
			   &st->supervisor->board->streams[st->slot]);
	st->supervisor->slots[st->slot] = NULL;
	rule_done(&st->rule);
	free(st);
}
