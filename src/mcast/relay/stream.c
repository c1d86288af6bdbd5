/* Sockets and owners of streams: see stream.h. */
#include "mcast/relay/stream.h"

#include "common/base/log.h"
#include "mcast/common/rule_json.h"
#include "mcast/relay/input.h"
#include "mcast/relay/net.h"
#include "mcast/relay/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- by name ---- */

/* FNV-1a. */
static uint64_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
	return hash;
}

struct stream *stream_find(const struct supervisor *s, const char *name)
{
	struct hashed *h = hashed_first(&s->by_name, hash_of(name));

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

static bool open_input(struct stream *st, unsigned i)
{
	struct stream_input *in = &st->inputs[i];
	char why[WHY_BYTES_MAX];
	int err = input_open(&st->rule.inputs[i], st->rule.input_count == 1,
			     st->supervisor->options->buffer_bytes, &in->fd, &in->interface, why);

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
		close_input(in);
		open_input(st, i); /* which may have come back as another one */
		return true;
	}
	return open_input(st, i);
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

static void own(struct stream *st, struct process *p)
{
	int fds[RULE_INPUTS_MAX], inputs = 0;
	size_t count = 0;

	for (unsigned i = 0; i < st->rule.input_count; i++) {
		if (st->inputs[i].fd < 0)
			continue;
		fds[count++] = st->inputs[i].fd;
		inputs |= 1 << i;
	}
	if (st->owner != p)
		p->stream_count++;
	st->owner = p;
	st->state = STREAM_OWNED;
	process_send(p,
		     json_pack("{s:s, s:i, s:o, s:i}", "do", "own", "slot", (int)st->slot, "rule",
			       rule_to_json(&st->rule), "inputs", inputs),
		     fds, count);
}

static void order_release(struct stream *st)
{
	process_send(st->owner, json_pack("{s:s, s:i}", "do", "release", "slot", (int)st->slot),
		     NULL, 0);
}

/* It keeps the sockets until another one has them, or nobody wants them. */
static void leave(struct stream *st, struct process *from)
{
	process_forget(from, st->slot);
	from->stream_count--;
	process_check_end(from);
}

void stream_place(struct stream *st)
{
	struct process *p = staff_place(st->supervisor);

	if (p)
		own(st, p);
	else
		st->state = STREAM_HOMELESS;
}

void stream_move(struct stream *st, struct process *to)
{
	if (st->state == STREAM_LEAVING || (st->state == STREAM_OWNED && st->owner == to))
		return;
	st->next = to;
	if (st->state == STREAM_OWNED)
		order_release(st);
	st->state = STREAM_RELEASING;
}

void stream_on_released(struct stream *st)
{
	bool is_leaving = st->state == STREAM_LEAVING;
	struct process *from = st->owner, *to = is_leaving ? NULL : st->next;

	st->next = NULL;
	if (!is_leaving && (!to || !process_is_usable(to)))
		to = staff_place(st->supervisor);
	if (to != from)
		st->owner = NULL;
	if (!is_leaving && to)
		own(st, to);
	else if (!is_leaving)
		st->state = STREAM_HOMELESS;
	if (from && st->owner != from)
		leave(st, from);
	if (is_leaving)
		stream_free(st);
}

void stream_look_at_inputs(struct stream *st)
{
	bool has_changed = false;

	for (unsigned i = 0; i < st->rule.input_count; i++)
		has_changed |= look_at_input(st, i);
	if (has_changed && st->state == STREAM_OWNED)
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
	list_push_back(&s->streams, &st->node);
	s->slots[slot] = st;
	hashed_put(&s->by_name, &st->by_name, hash_of(rule->name));
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
	stream_place(st);
	return st;
}

void stream_adopt(struct supervisor *s, uint32_t slot, const struct rule *rule,
		  const int fds_take[RULE_INPUTS_MAX], struct process *owner, bool is_released)
{
	struct stream *st = stream_at(s, slot, rule);

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		st->inputs[i].fd = fds_take[i];
		st->inputs[i].interface = interface_index(rule->inputs[i].interface);
	}
	st->seen_packets = s->board->streams[slot].received_packets;
	st->owner = owner;
	st->state = is_released ? STREAM_RELEASING : STREAM_OWNED;
	owner->stream_count++;
}

void stream_adopt_again(struct stream *st, struct process *owner)
{
	process_forget(st->owner, st->slot);
	st->owner->stream_count--;
	st->owner = owner;
	owner->stream_count++;
	st->state = STREAM_OWNED;
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

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		bool stays = !is_other_kind && i < rule->input_count &&
			     rule_input_is_same(&rule->inputs[i], &st->rule.inputs[i]);

		if (!stays)
			close_input(&st->inputs[i]);
	}
	replace_rule(st, rule);
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
	st->state = STREAM_LEAVING;
	if (was == STREAM_OWNED)
		order_release(st);
	else if (was == STREAM_HOMELESS)
		stream_free(st);
}

void stream_free(struct stream *st)
{
	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++)
		close_input(&st->inputs[i]);
	if (st->state != STREAM_LEAVING)
		hashed_remove(&st->supervisor->by_name, &st->by_name);
	list_remove(&st->node);
	report_add(&st->supervisor->ended, &st->supervisor->board->streams[st->slot]);
	st->supervisor->slots[st->slot] = NULL;
	rule_done(&st->rule);
	free(st);
}
