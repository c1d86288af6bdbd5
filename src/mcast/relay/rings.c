/* Rings by interface, queue and seat: see rings.h. */
#include "mcast/relay/rings.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "mcast/relay/ring.h"
#include "mcast/relay/steer.h"
#include "mcast/relay/supervisor.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A ring is shared by the streams of a worker: it has the memory of so many inputs. */
#define INPUTS_SHARING 16u
/* An interface that was refused is tried again, each time after twice as long. */
#define RETRY_NS (1 * NS_PER_S)
#define RETRY_MAX_NS (60 * NS_PER_S)
/* Numbers in the maps, where they are not of one interface only: a ring's on the board, and 1. */
#define MEMBER_NUMBERS (BOARD_RINGS_MAX + 1u)

struct rings {
	struct supervisor *supervisor;
	const struct ring_kind *kind;
	struct list all; /* struct ring; of an interface founders first, then by member */
	struct steer steer;
	int program_fd;
	uint32_t last_id;     /* that was given */
	struct list refusals; /* struct refusal */
};

/* An interface that has no rings, though streams want them. */
struct refusal {
	struct list node;
	unsigned interface;
	int error;
	uint64_t again_ns, wait_ns; /* when it is tried again, and how long that was put off */
};

static void refusal_free(struct refusal *one)
{
	list_remove(&one->node);
	free(one);
}

struct rings *rings_new(struct supervisor *s, const struct ring_kind *kind)
{
	struct rings *r;

	if (!kind)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->supervisor = s;
	r->kind = kind;
	steer_init(&r->steer);
	r->program_fd = -1;
	list_init(&r->all);
	list_init(&r->refusals);
	return r;
}

const struct ring_kind *rings_kind(const struct rings *r)
{
	return r ? r->kind : NULL;
}

/* The maps may have been adopted. */
int rings_open(struct rings *r, char ret_why[WHY_BYTES_MAX])
{
	int err = 0;

	if (!r)
		return 0;
	if (list_is_empty(&r->all))
		err = steer_open(&r->steer, r->kind->steer, BOARD_SLOTS_MAX * RULE_INPUTS_MAX,
				 MEMBER_NUMBERS);
	if (!err)
		r->program_fd = steer_program_new(&r->steer);
	if (!err && r->program_fd < 0)
		err = r->program_fd;
	return err ? fail_why(ret_why, "--rx %s: bpf: %s", r->kind->name, strerror(-err)) : 0;
}

void rings_done(struct rings *r)
{
	if (!r)
		return;
	list_for_each_safe(node, &r->all)
		ring_free(container_of(node, struct ring, node));
	list_for_each_safe(other, &r->refusals)
		refusal_free(container_of(other, struct refusal, node));
	steer_done(&r->steer);
	if (r->program_fd >= 0)
		close(r->program_fd);
	free(r);
}

/* ---- telling ---- */

static void tell_of(const struct rings *r, const struct ring *ring, struct process *p)
{
	int fds[MESSAGE_FDS_MAX];
	size_t count = ring_fds(ring, &r->steer, fds);

	process_send(p, ring_to_message(ring, "do"), fds, count);
}

static void tell_all_of(const struct rings *r, const struct ring *ring)
{
	list_for_each(node, &r->supervisor->processes)
		tell_of(r, ring, container_of(node, struct process, node));
}

void rings_tell(struct rings *r, struct process *p)
{
	if (!r)
		return;
	list_for_each(node, &r->all)
		tell_of(r, container_of(node, struct ring, node), p);
}

void rings_begin(struct rings *r, struct process *p)
{
	if (r)
		process_send(p, json_pack("{s:s}", "do", "begin"), NULL, 0);
}

/* ---- finding and making ---- */

static struct ring *find(const struct rings *r, unsigned interface, uint32_t queue, uint32_t seat)
{
	list_for_each(node, &r->all) {
		struct ring *ring = container_of(node, struct ring, node);

		if (ring->interface == interface && ring->queue == queue && ring->seat == seat)
			return ring;
	}
	return NULL;
}

static const struct ring *find_id(const struct rings *r, uint32_t id)
{
	list_for_each(node, &r->all) {
		const struct ring *ring = container_of(node, struct ring, node);

		if (ring->id == id)
			return ring;
	}
	return NULL;
}

/* Not one that was free a moment ago: who reads that ring may not have heard it yet. */
static uint32_t free_id(struct rings *r)
{
	for (uint32_t i = 0; i < BOARD_RINGS_MAX; i++) {
		uint32_t id = (r->last_id + 1 + i) % BOARD_RINGS_MAX;

		if (find_id(r, id))
			continue;
		r->last_id = id;
		return id;
	}
	return BOARD_RINGS_MAX;
}

/* Of packet sockets the kernel gives the numbers, in the order of joining. Of XDP sockets all
 * queues of an interface have one, which no other interface has. */
static uint32_t member_for(const struct rings *r, const struct ring *ring)
{
	const struct ring *first = find(r, ring->interface, 0, ring->seat);
	uint32_t count = 0;

	if (r->kind->steer == STEER_XDP)
		return first ? first->member : ring->id + 1;
	list_for_each(node, &r->all)
		count += container_of(node, struct ring, node)->interface == ring->interface;
	return count;
}

static int open_ring(const struct rings *r, struct ring *ring, const struct ring *founder)
{
	int err = ring->kind->open(ring, founder, r->program_fd);

	if (!err && r->kind->steer == STEER_XDP && !ring_is_founder(ring))
		err = steer_enter(&r->steer, ring->member, ring->queue, ring->fds[0]);
	return err;
}

/* 0 or a negative errno. */
static int make(struct rings *r, unsigned interface, uint32_t queue, uint32_t seat,
		const struct ring *founder)
{
	struct ring *ring = ring_new(r->kind);
	int err;

	ring->id = free_id(r);
	ring->interface = interface;
	ring->queue = queue;
	ring->seat = seat;
	ring->member = member_for(r, ring);
	ring->size = founder ? founder->size
			     : r->kind->size_for((size_t)r->supervisor->options->buffer_bytes *
						 INPUTS_SHARING);
	err = ring->id < BOARD_RINGS_MAX ? open_ring(r, ring, founder) : -ENOSPC;
	if (err) {
		ring_free(ring);
		return err;
	}
	r->supervisor->board->rings[ring->id] = (struct board_ring){0};
	list_push_back(&r->all, &ring->node);
	tell_all_of(r, ring);
	return 0;
}

static bool has_founder(const struct rings *r, unsigned interface)
{
	return find(r, interface, 0, RING_SEAT_FOUNDER);
}

static struct refusal *find_refusal(const struct rings *r, unsigned interface)
{
	list_for_each(node, &r->refusals) {
		struct refusal *one = container_of(node, struct refusal, node);

		if (one->interface == interface)
			return one;
	}
	return NULL;
}

/* It is said once for each reason. */
static void note_refusal(struct rings *r, unsigned interface, int error)
{
	struct refusal *one = find_refusal(r, interface);

	if (!one) {
		one = calloc(1, sizeof(*one));
		if (!one)
			abort();
		one->interface = interface;
		list_push_back(&r->refusals, &one->node);
	}
	if (one->error != error)
		log_warn("--rx %s: interface %u: %s%s", r->kind->name, interface, strerror(-error),
			 r->kind->is_copy ? "" : "; its packets come by sockets");
	one->error = error;
	one->wait_ns = one->wait_ns ? 2 * one->wait_ns : RETRY_NS;
	if (one->wait_ns > RETRY_MAX_NS)
		one->wait_ns = RETRY_MAX_NS;
	one->again_ns = clock_now_ns() + one->wait_ns;
}

/* One for each queue that there is. */
static void found(struct rings *r, unsigned interface)
{
	const struct ring *before = NULL;
	uint32_t queue = 0;
	int err = 0;

	for (; queue < STEER_QUEUES_MAX && !err; queue++) {
		err = make(r, interface, queue, RING_SEAT_FOUNDER, before);
		before = find(r, interface, queue, RING_SEAT_FOUNDER);
	}
	if (err == -EINVAL && queue > 1)
		err = 0; /* that was the last one */
	if (err && before)
		log_warn("--rx %s: interface %u, queue %u: %s", r->kind->name, interface, queue - 1,
			 strerror(-err));
	else if (err)
		note_refusal(r, interface, err);
	else if (find_refusal(r, interface))
		refusal_free(find_refusal(r, interface));
}

static bool is_wanted(const struct rings *r, unsigned interface)
{
	list_for_each(node, &r->supervisor->streams) {
		const struct stream *st = container_of(node, struct stream, node);

		for (unsigned i = 0; i < st->rule.input_count && st->state != STREAM_LEAVING; i++)
			if (st->inputs[i].fd >= 0 && st->inputs[i].interface == interface)
				return true;
	}
	return false;
}

/* A program, or a dead relay, that was there may be gone; there may be memory. */
bool rings_try_again(struct rings *r)
{
	bool has_founded = false;

	if (!r)
		return false;
	list_for_each_safe(node, &r->refusals) {
		struct refusal *one = container_of(node, struct refusal, node);
		unsigned interface = one->interface;

		if (one->error == -EOPNOTSUPP || clock_now_ns() < one->again_ns)
			continue;
		if (!is_wanted(r, interface)) {
			refusal_free(one);
			continue;
		}
		found(r, interface);
		has_founded |= has_founder(r, interface);
	}
	return has_founded;
}

/* A seat's share of each queue. */
static void join(struct rings *r, unsigned interface, uint32_t seat)
{
	for (uint32_t queue = 0; queue < STEER_QUEUES_MAX; queue++) {
		const struct ring *founder = find(r, interface, queue, RING_SEAT_FOUNDER);
		int err = 0;

		if (!founder)
			return;
		if (!find(r, interface, queue, seat))
			err = make(r, interface, queue, seat, founder);
		if (err) {
			log_error("--rx %s: interface %u, a worker's share: %s", r->kind->name,
				  interface, strerror(-err));
			return;
		}
	}
}

void rings_reach(struct rings *r, const struct stream *st, struct process *p)
{
	/* Before it is open, not all rings may be known that there are. */
	for (unsigned i = 0; r && r->program_fd >= 0 && i < st->rule.input_count; i++) {
		unsigned interface = st->inputs[i].interface;

		if (st->inputs[i].fd < 0)
			continue;
		if (!has_founder(r, interface) && (r->kind->is_copy || !find_refusal(r, interface)))
			found(r, interface);
		join(r, interface, p->seat);
	}
}

bool rings_are_copies(const struct rings *r)
{
	return r && r->kind->is_copy;
}

/* Where an interface has no rings, the sockets that have joined are given all that comes. */
static bool is_carried(const struct rings *r, const struct stream_input *in)
{
	return in->fd >= 0 && (r->kind->is_copy || has_founder(r, in->interface));
}

bool rings_carry(const struct rings *r, const struct stream *st)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++)
		if (is_carried(r, &st->inputs[i]))
			return true;
	return false;
}

/* Of one seat, in queue 0: it has those of the other queues, too. */
static const struct ring *ring_for(const struct rings *r, const struct stream_input *in,
				   const struct process *p)
{
	return is_carried(r, in) ? find(r, in->interface, 0, p->seat) : NULL;
}

bool rings_have(const struct rings *r, const struct stream *st, const struct process *p)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++)
		if (is_carried(r, &st->inputs[i]) && !ring_for(r, &st->inputs[i], p))
			return false;
	return true;
}

/* ---- the maps ---- */

static uint32_t number_of(const struct stream *st, unsigned input)
{
	return st->slot * RULE_INPUTS_MAX + input;
}

void rings_unpoint(struct rings *r, const struct stream *st, unsigned input)
{
	if (r && st->inputs[input].fd >= 0)
		steer_remove(&r->steer, &st->rule.inputs[input], st->inputs[input].interface,
			     number_of(st, input));
}

void rings_point(struct rings *r, const struct stream *st, const struct process *p)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++) {
		const struct stream_input *in = &st->inputs[i];
		const struct ring *ring = ring_for(r, in, p);
		int err = 0;

		if (ring)
			err = steer_set(&r->steer, &st->rule.inputs[i], in->interface,
					number_of(st, i), ring->member);
		else if (!r->kind->is_copy)
			rings_unpoint(r, st, i); /* to the sockets that have joined */
		if (err)
			log_error("rule \"%s\" gets no packets: bpf: %s", st->rule.name,
				  strerror(-err));
	}
}

static bool is_pointed(const struct rings *r, const struct stream *st, unsigned i,
		       const struct process *p)
{
	const struct stream_input *in = &st->inputs[i];
	const struct ring *ring = ring_for(r, in, p);
	uint32_t member;
	int err;

	if (!is_carried(r, in))
		return true;
	err = steer_get(&r->steer, &st->rule.inputs[i], in->interface, number_of(st, i), &member);
	if (!ring)
		return !r->kind->is_copy && err;
	return !err && member == ring->member;
}

bool rings_is_pointed(const struct rings *r, const struct stream *st, const struct process *p)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++)
		if (!is_pointed(r, st, i, p))
			return false;
	return true;
}

/* ---- from one supervisor to the next ---- */

static bool comes_before(const struct ring *a, const struct ring *b)
{
	if (ring_is_founder(a) != ring_is_founder(b))
		return ring_is_founder(a);
	return a->member < b->member;
}

/* As they were made: workers may tell them in any order. */
static void insert(struct rings *r, struct ring *ring)
{
	list_for_each(node, &r->all) {
		if (!comes_before(ring, container_of(node, struct ring, node)))
			continue;
		list_push_back(node, &ring->node);
		return;
	}
	list_push_back(&r->all, &ring->node);
}

void rings_adopt(struct rings *r, struct message *m)
{
	struct ring *ring;

	if (!r || find_id(r, message_number(m, "id")))
		return;
	ring = ring_from_message(r->kind, m, &r->steer);
	if (!ring)
		return;
	insert(r, ring);
	if (ring->id > r->last_id)
		r->last_id = ring->id;
}

/* ---- interfaces that are gone ---- */

static void add_ring(const struct ring *ring, const struct board_ring *c, struct board_ring *sum)
{
	sum->queue_drops += ring->kind->drops(ring, c);
	sum->damaged += c->damaged;
	sum->strays += c->strays;
}

static void drop(struct rings *r, struct ring *ring)
{
	struct supervisor *s = r->supervisor;

	list_for_each(node, &s->processes)
		process_send(container_of(node, struct process, node),
			     json_pack("{s:s, s:i}", "do", "drop-ring", "id", (int)ring->id), NULL,
			     0);
	add_ring(ring, &s->board->rings[ring->id], &s->board->ended_rings);
	ring_free(ring);
}

void rings_look(struct rings *r)
{
	char name[IF_NAMESIZE];

	if (!r)
		return;
	list_for_each_safe(node, &r->all) {
		struct ring *ring = container_of(node, struct ring, node);

		if (!if_indextoname(ring->interface, name))
			drop(r, ring);
	}
	list_for_each_safe(other, &r->refusals) {
		struct refusal *one = container_of(other, struct refusal, node);

		if (!if_indextoname(one->interface, name))
			refusal_free(one);
	}
}

/* ---- counters ---- */

void rings_add(const struct rings *r, uint32_t seat, struct board_ring *sum)
{
	if (!r)
		return;
	list_for_each(node, &r->all) {
		const struct ring *ring = container_of(node, struct ring, node);
		const struct board_ring *c = &r->supervisor->board->rings[ring->id];

		if (seat == BOARD_WORKERS_MAX || ring->seat == seat)
			add_ring(ring, c, sum);
	}
	if (seat != BOARD_WORKERS_MAX)
		return;
	sum->queue_drops += r->supervisor->board->ended_rings.queue_drops;
	sum->damaged += r->supervisor->board->ended_rings.damaged;
	sum->strays += r->supervisor->board->ended_rings.strays;
}
