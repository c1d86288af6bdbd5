/* Virtual clients and servers. */
#include "vpeer.h"

#include "faults.h"
#include "vend.h"

#include "common/base/limits.h"

#include <errno.h>
#include <stdio.h>

/* ---- plans ---- */

static void plan_writing(struct world *w, struct vpeer_plan *p)
{
	bool is_tiny = p->total < 8 * KIB && world_chance(w, 60);

	p->burst_bytes = is_tiny ? world_between(w, 1, 64) : world_scale(w, 512, MIB);
	p->burst_us = world_chance(w, 50) ? 0 : world_scale(w, 10, 5 * US_PER_MS);
}

static void plan_reading(struct world *w, struct vpeer_plan *p)
{
	bool is_slow = world_chance(w, 20);

	p->read_bytes = is_slow ? world_scale(w, 500, 20 * KIB) : 256 * KIB;
	p->read_us = is_slow ? world_scale(w, 100, 5 * US_PER_MS) : 0;
}

static uint64_t plan_total(struct world *w, uint64_t bytes)
{
	return world_chance(w, 20) ? 0 : world_scale(w, 1, bytes);
}

static void plan_peer(struct world *w, struct vpeer_plan *p, uint64_t bytes)
{
	*p = (struct vpeer_plan){.total = plan_total(w, bytes),
				 .stall_at = VPEER_NEVER,
				 .reset_written = VPEER_NEVER,
				 .reset_read = VPEER_NEVER};
	plan_writing(w, p);
	plan_reading(w, p);
}

static void plan_reset(struct world *w, struct vpeer *p)
{
	if (world_chance(w, 50))
		p->plan.reset_written = world_between(w, 0, p->plan.total);
	else
		p->plan.reset_read = world_between(w, 0, p->other->plan.total);
}

static void peer_init(struct vpeer *p, struct vpeer *other, struct world *w, struct faults *f,
		      unsigned stream);

void vstream_init(struct vstream *s, struct world *w, struct faults *f, unsigned index,
		  uint64_t bytes, unsigned reset_percent)
{
	struct vpeer *peers[] = {&s->client, &s->server};
	struct vpeer *one = peers[rng_below(&w->rng, 2)];

	*s = (struct vstream){.start_us = w->now_us + world_scale(w, 0, US_PER_S)};
	for (int i = 0; i < 2; i++) {
		peer_init(peers[i], peers[!i], w, f, index);
		plan_peer(w, &peers[i]->plan, bytes);
	}
	one->plan.is_answer = world_chance(w, 30);
	if (world_chance(w, 10)) {
		one->plan.stall_at = world_between(w, 0, one->other->plan.total);
		one->plan.stall_us = world_scale(w, US_PER_MS, 8 * US_PER_S);
	}
	if (world_chance(w, reset_percent))
		plan_reset(w, one);
}

/* ---- bytes ---- */

static uint8_t byte_at(uint64_t key, uint64_t offset)
{
	return (uint8_t)(((key + offset) * 0x9e3779b97f4a7c15u) >> 56);
}

static void check_bytes(struct vpeer *p, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(p->other->key, p->read + i)) {
			world_fail(p->world, "stream %u: a wrong byte at %llu towards the %s",
				   p->stream, (unsigned long long)(p->read + i),
				   p->end->is_initiator ? "client" : "server");
			return;
		}
}

/* ---- writing ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool may_write(const struct vpeer *p)
{
	return !p->plan.is_answer || p->saw_end;
}

static void write_more(void *arg)
{
	struct vpeer *p = arg;

	if (p->available < p->plan.total && may_write(p))
		p->available = least(p->plan.total, p->available + p->plan.burst_bytes);
	if (p->available < p->plan.total && may_write(p))
		world_timer_set(p->world, &p->write_timer, p->world->now_us + p->plan.burst_us + 1);
	if (!p->session)
		return;
	session_source_ready(p->session);
	vend_wake(p->end);
}

static void reset_begins(struct vpeer *p)
{
	p->did_reset = p->has_ended = true;
	p->end_code = RESET_BY_PEER;
	p->reset_us = p->world->now_us;
	p->session = NULL;
	world_timer_stop(p->world, &p->write_timer);
	world_timer_stop(p->world, &p->read_timer);
	world_trace(p->world, "stream %u: the %s resets", p->stream,
		    p->end->is_initiator ? "client" : "server");
}

ssize_t vpeer_pull(struct vpeer *p, uint8_t *buf, size_t size)
{
	uint64_t ready = least(p->available, p->plan.reset_written) - p->written;
	size_t len = least(ready, size);

	if (p->did_end || p->has_ended)
		world_fail(p->world, "stream %u is read after its end", p->stream);
	if (p->written >= p->plan.reset_written) {
		reset_begins(p);
		return -ECONNRESET;
	}
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(p->key, p->written + i);
	p->written += len;
	if (len < size && len > 0 && !p->write_timer.place)
		world_timer_set(p->world, &p->write_timer, p->world->now_us + 1);
	if (len > 0)
		return (ssize_t)len;
	if (p->written < p->plan.total || !may_write(p))
		return -EAGAIN;
	p->did_end = true;
	return 0;
}

/* ---- reading ---- */

static void see_end(struct vpeer *p)
{
	if (!p->other->did_end || p->read != p->other->plan.total)
		world_fail(p->world, "stream %u: the %s sees an end after %llu of %llu bytes",
			   p->stream, p->end->is_initiator ? "client" : "server",
			   (unsigned long long)p->read, (unsigned long long)p->other->plan.total);
	p->saw_end = true;
	session_end_delivered(p->session);
	if (p->plan.is_answer)
		world_timer_set(p->world, &p->write_timer, p->world->now_us + 1);
}

/* How much it takes now; 0: it stops for a while. */
static uint64_t appetite(struct vpeer *p)
{
	uint64_t limit = least(p->plan.read_bytes, p->plan.reset_read - p->read);

	if (p->did_stall || p->plan.stall_at == VPEER_NEVER)
		return limit;
	if (p->read < p->plan.stall_at)
		return least(limit, p->plan.stall_at - p->read);
	p->did_stall = true;
	world_timer_set(p->world, &p->read_timer, p->world->now_us + p->plan.stall_us);
	return 0;
}

static uint64_t read_up_to(struct vpeer *p, uint64_t limit)
{
	struct iovec iov[8];
	int count = session_peek(p->session, iov, 8);
	uint64_t before = p->read;

	for (int i = 0; i < count && limit > 0; i++) {
		size_t len = least(limit, iov[i].iov_len);

		check_bytes(p, iov[i].iov_base, len);
		p->read += len;
		limit -= len;
	}
	return p->read - before;
}

static void read_on(void *arg)
{
	struct vpeer *p = arg;
	uint64_t limit = appetite(p), len;

	if (p->read >= p->plan.reset_read) {
		session_reset(p->session, RESET_BY_PEER, "the peer resets", p->world->now_us);
		reset_begins(p);
		vend_wake(p->end);
		return;
	}
	if (limit == 0)
		return;
	len = read_up_to(p, limit);
	if (len > 0) {
		session_consume(p->session, len, p->world->now_us);
		faults_on_delivered(p->faults, len);
		world_timer_set(p->world, &p->read_timer, p->world->now_us + p->plan.read_us + 1);
	}
	if (session_is_at_end(p->session))
		see_end(p);
	vend_wake(p->end);
}

void vpeer_on_deliverable(struct vpeer *p)
{
	if (!p->read_timer.place)
		world_timer_set(p->world, &p->read_timer, p->world->now_us + p->plan.read_us);
}

/* ---- beginning and end ---- */

static void peer_init(struct vpeer *p, struct vpeer *other, struct world *w, struct faults *f,
		      unsigned stream)
{
	*p = (struct vpeer){.world = w,
			    .faults = f,
			    .other = other,
			    .stream = stream,
			    .key = rng_u64(&w->rng),
			    .write_timer = {.fire = write_more, .arg = p},
			    .read_timer = {.fire = read_on, .arg = p}};
}

void vpeer_begin(struct vpeer *p, struct vend *end, struct session *s)
{
	p->end = end;
	p->session = s;
	p->has_begun = true;
	world_timer_set(p->world, &p->write_timer, p->world->now_us + p->plan.burst_us);
	if (p->plan.reset_read == 0 || p->plan.stall_at == 0)
		world_timer_set(p->world, &p->read_timer, p->world->now_us);
}

/* Bytes that were sent before the other side's reset must come first, if they come in time. */
static void check_reset(struct vpeer *p, uint32_t code)
{
	bool is_early = p->world->now_us < p->other->reset_us + RESET_WAIT_MS * US_PER_MS;

	if (code == RESET_BY_PEER && p->other->did_reset && is_early && p->read < p->other->written)
		world_fail(p->world, "stream %u: a reset overtook %llu bytes", p->stream,
			   (unsigned long long)(p->other->written - p->read));
}

void vpeer_on_ended(struct vpeer *p, uint32_t code)
{
	p->session = NULL;
	p->has_ended = true;
	p->end_code = code;
	p->world->progress_us = p->world->now_us;
	world_timer_stop(p->world, &p->write_timer);
	world_timer_stop(p->world, &p->read_timer);
	world_trace(p->world, "stream %u: ended with %s for the %s", p->stream,
		    reset_code_name(code), p->end->is_initiator ? "client" : "server");
	if (code == RESET_FINISHED && !(p->saw_end && p->did_end))
		world_fail(p->world, "stream %u finished before both ends", p->stream);
	check_reset(p, code);
}

void vstream_done(struct vstream *s)
{
	struct vpeer *peers[] = {&s->client, &s->server};

	for (int i = 0; i < 2; i++) {
		world_timer_stop(peers[i]->world, &peers[i]->write_timer);
		world_timer_stop(peers[i]->world, &peers[i]->read_timer);
	}
}

bool vstream_is_over(const struct vstream *s)
{
	if (!s->is_started || !s->client.has_ended)
		return false;
	return s->server.has_ended || !s->server.has_begun;
}

const char *vstream_error(const struct vstream *s, bool may_lose)
{
	const struct vpeer *c = &s->client, *v = &s->server;

	if (may_lose || c->did_reset || v->did_reset)
		return NULL;
	if (!v->has_begun)
		return "never reached the server";
	if (c->end_code != RESET_FINISHED)
		return reset_code_name(c->end_code);
	if (v->end_code != RESET_FINISHED)
		return reset_code_name(v->end_code);
	if (c->read != v->plan.total || v->read != c->plan.total)
		return "finished before all was read";
	return NULL;
}

static void peer_print(const struct vpeer *p, const char *who)
{
	printf("  %s:%s%s%s%s%s, wrote %llu of %llu, read %llu\n", who,
	       p->has_begun ? " begun" : "", p->did_end ? ", ended its stream" : "",
	       p->saw_end ? ", saw the end" : "", p->did_reset ? ", reset" : "",
	       p->has_ended ? ", over" : "", (unsigned long long)p->written,
	       (unsigned long long)p->plan.total, (unsigned long long)p->read);
}

void vstream_print(const struct vstream *s)
{
	printf("stream %u of tunnel %u\n", s->client.stream, s->tunnel);
	peer_print(&s->client, "client");
	peer_print(&s->server, "server");
}
