/* Rings by interface and seat: see rings.h. */
#include "mcast/relay/rings.h"

#include "common/base/log.h"
#include "mcast/relay/ring.h"
#include "mcast/relay/steer.h"
#include "mcast/relay/supervisor.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the socket that gets what nobody wants. */
#define SEAT_NOBODY BOARD_WORKERS_MAX
/* A ring is shared by the streams of a worker: it has the memory of so many inputs. */
#define INPUTS_SHARING 16u
#define BLOCKS_MIN 4u

struct rings {
	struct supervisor *supervisor;
	struct list all; /* struct ring; of one interface in the order of their numbers */
	struct steer steer;
	int program_fd;
};

struct rings *rings_new(struct supervisor *s)
{
	struct rings *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->supervisor = s;
	r->steer = (struct steer){-1, -1};
	r->program_fd = -1;
	list_init(&r->all);
	return r;
}

int rings_open(struct rings *r, char ret_why[WHY_BYTES_MAX])
{
	int err = 0;

	if (!r)
		return 0;
	if (r->steer.inputs_fd < 0)
		err = steer_open(&r->steer, BOARD_SLOTS_MAX * RULE_INPUTS_MAX);
	if (err)
		return fail_why(ret_why, "--rx packet: bpf: %s", strerror(-err));
	r->program_fd = steer_program_new(&r->steer);
	if (r->program_fd < 0)
		return fail_why(ret_why, "--rx packet: bpf: %s", strerror(-r->program_fd));
	return 0;
}

static void ring_free(struct ring *ring)
{
	list_remove(&ring->node);
	ring_done(ring);
	free(ring);
}

void rings_done(struct rings *r)
{
	if (!r)
		return;
	list_for_each_safe(node, &r->all)
		ring_free(container_of(node, struct ring, node));
	steer_done(&r->steer);
	if (r->program_fd >= 0)
		close(r->program_fd);
	free(r);
}

/* ---- telling ---- */

static void tell_of(const struct rings *r, const struct ring *ring, struct process *p)
{
	const int fds[] = {ring->fd, r->steer.inputs_fd, r->steer.members_fd};

	process_send(p, ring_to_message(ring, "do"), fds, RING_FDS);
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

static struct ring *find(const struct rings *r, unsigned interface, uint32_t seat)
{
	list_for_each(node, &r->all) {
		struct ring *ring = container_of(node, struct ring, node);

		if (ring->interface == interface && ring->seat == seat)
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

static uint32_t free_id(const struct rings *r)
{
	uint32_t id = 0;

	while (id < BOARD_RINGS_MAX && find_id(r, id))
		id++;
	return id;
}

/* Numbers are given in the order of joining. */
static uint32_t next_member(const struct rings *r, unsigned interface)
{
	uint32_t count = 0;

	list_for_each(node, &r->all)
		count += container_of(node, struct ring, node)->interface == interface;
	return count;
}

static uint32_t block_count(const struct rings *r)
{
	uint32_t count = r->supervisor->options->buffer_bytes / RING_BLOCK_BYTES * INPUTS_SHARING;

	return count < BLOCKS_MIN ? BLOCKS_MIN : count;
}

static int open_ring(const struct rings *r, struct ring *ring)
{
	const struct ring *nobody = find(r, ring->interface, SEAT_NOBODY);
	uint16_t group = 0;
	int err = 0;

	if (nobody)
		err = ring_group(nobody, &group);
	return err ? err : ring_open(ring, r->program_fd, &group);
}

static struct ring *make(struct rings *r, unsigned interface, uint32_t seat)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int err;

	if (!ring)
		abort();
	*ring = (struct ring){.id = free_id(r),
			      .interface = interface,
			      .member = next_member(r, interface),
			      .seat = seat,
			      .block_count = seat == SEAT_NOBODY ? 0 : block_count(r)};
	err = ring->id < BOARD_RINGS_MAX ? open_ring(r, ring) : -ENOSPC;
	if (err) {
		log_error("a packet socket for interface %u: %s", interface, strerror(-err));
		free(ring);
		return NULL;
	}
	r->supervisor->board->rings[ring->id] = (struct board_ring){0};
	list_push_back(&r->all, &ring->node);
	tell_all_of(r, ring);
	return ring;
}

static struct ring *find_or_make(struct rings *r, unsigned interface, uint32_t seat)
{
	struct ring *ring = find(r, interface, seat);

	return ring ? ring : make(r, interface, seat);
}

void rings_reach(struct rings *r, const struct stream *st, struct process *p)
{
	/* Before it is open, not all rings may be known that there are. */
	for (unsigned i = 0; r && r->program_fd >= 0 && i < st->rule.input_count; i++)
		if (st->inputs[i].fd >= 0 && find_or_make(r, st->inputs[i].interface, SEAT_NOBODY))
			find_or_make(r, st->inputs[i].interface, p->seat);
}

bool rings_have(const struct rings *r, const struct stream *st, const struct process *p)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++)
		if (st->inputs[i].fd >= 0 && !find(r, st->inputs[i].interface, p->seat))
			return false;
	return true;
}

/* ---- the maps ---- */

static uint32_t number_of(const struct stream *st, unsigned input)
{
	return st->slot * RULE_INPUTS_MAX + input;
}

void rings_point(struct rings *r, const struct stream *st, const struct process *p)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++) {
		const struct stream_input *in = &st->inputs[i];
		const struct ring *ring = in->fd >= 0 ? find(r, in->interface, p->seat) : NULL;
		int err = 0;

		if (ring)
			err = steer_set(&r->steer, &st->rule.inputs[i], in->interface,
					number_of(st, i), ring->member);
		if (err)
			log_error("rule \"%s\" gets no packets: bpf: %s", st->rule.name,
				  strerror(-err));
	}
}

bool rings_is_pointed(const struct rings *r, const struct stream *st, const struct process *p)
{
	for (unsigned i = 0; r && i < st->rule.input_count; i++) {
		const struct stream_input *in = &st->inputs[i];
		const struct ring *ring = in->fd >= 0 ? find(r, in->interface, p->seat) : NULL;
		uint32_t member;

		if (in->fd >= 0 && (!ring ||
				    steer_get(&r->steer, &st->rule.inputs[i], in->interface,
					      number_of(st, i), &member) < 0 ||
				    member != ring->member))
			return false;
	}
	return true;
}

void rings_unpoint(struct rings *r, const struct stream *st, unsigned input)
{
	if (r && st->inputs[input].fd >= 0)
		steer_remove(&r->steer, &st->rule.inputs[input], st->inputs[input].interface,
			     number_of(st, input));
}

/* ---- from one supervisor to the next ---- */

/* As they were made: workers may tell them in any order. */
static void insert(struct rings *r, struct ring *ring)
{
	list_for_each(node, &r->all) {
		if (container_of(node, struct ring, node)->member <= ring->member)
			continue;
		list_push_back(node, &ring->node);
		return;
	}
	list_push_back(&r->all, &ring->node);
}

void rings_adopt(struct rings *r, struct message *m)
{
	struct ring *ring;

	if (!r || m->fd_count != RING_FDS || message_number(m, "id") >= BOARD_RINGS_MAX ||
	    find_id(r, message_number(m, "id")))
		return;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		abort();
	ring_from_message(ring, m);
	if (r->steer.inputs_fd < 0) {
		r->steer = (struct steer){m->fds[1], m->fds[2]};
		m->fds[1] = m->fds[2] = -1;
	}
	insert(r, ring);
}

/* ---- interfaces that are gone ---- */

static void drop(struct rings *r, struct ring *ring)
{
	struct supervisor *s = r->supervisor;

	list_for_each(node, &s->processes)
		process_send(container_of(node, struct process, node),
			     json_pack("{s:s, s:i}", "do", "drop-ring", "id", (int)ring->id), NULL,
			     0);
	s->ended.queue_drops += s->board->rings[ring->id].queue_drops;
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
}

/* ---- counters ---- */

void rings_add(const struct rings *r, uint32_t seat, struct board_ring *sum)
{
	if (!r)
		return;
	list_for_each(node, &r->all) {
		const struct ring *ring = container_of(node, struct ring, node);
		const struct board_ring *c = &r->supervisor->board->rings[ring->id];

		if (seat != BOARD_WORKERS_MAX && ring->seat != seat)
			continue;
		sum->queue_drops += c->queue_drops;
		sum->damaged += c->damaged;
		sum->strays += c->strays;
	}
}
