/* Drawing, running and checking one world. */
#include "scenario.h"

#include "changes.h"
#include "faults.h"
#include "vend.h"
#include "vpath.h"
#include "vproxy.h"

#include "common/base/limits.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX 3
#define LEVEL_SIZE_MAX 3
#define PROXIES_MAX (LEVELS_MAX * LEVEL_SIZE_MAX)
#define TUNNELS_MAX_HERE 2
#define STREAMS_MAX 40

/* What one read may add to a relay's queue after the hop was paused: 64 KiB of the smallest
 * frames, with an item for each. */
#define QUEUE_SLACK_BYTES (320 * KIB)

struct scenario {
	struct world world;
	struct vlinks links;
	struct faults faults;
	struct changes changes;
	unsigned level_size[LEVELS_MAX], level_count;
	bool is_columns;   /* each proxy leads to one of the next level only */
	unsigned parallel; /* subflows between two neighbours */
	int narrow_level;  /* one slow subflow leads there from each, so that queues fill; or -1 */
	struct vproxy proxies[PROXIES_MAX];
	struct vway ways[PROXIES_MAX][WAYS_MAX]; /* `to` NULL: the tunnel's egress */
	unsigned way_count[PROXIES_MAX];
	unsigned proxy_count;
	unsigned tunnel_count;
	struct vend ends[TUNNELS_MAX_HERE][2];
	struct vstream streams[STREAMS_MAX];
	unsigned stream_count;
	struct world_timer start_timer;
};

/* ---- drawing ---- */

/* An aimed fault needs two proxies in a row, an event that meets the second one needs three. */
static void draw_levels(struct scenario *s, int aim)
{
	static const struct {
		unsigned count, size[LEVELS_MAX];
		bool is_columns;
	} shapes[] = {
		{0, {0}, false},       {1, {1}, false},	      {1, {3}, false},
		{2, {1, 1}, false},    {2, {3, 3}, true},     {2, {2, 3}, false},
		{2, {3, 2}, false},    {2, {1, 2}, false},    {3, {2, 1, 2}, false},
		{3, {1, 1, 1}, false}, {3, {2, 2, 2}, false},
	};
	bool is_event = aim >= 0 && faults_aim((unsigned)aim).kind == FAULT_PATH_LOST;
	unsigned first = is_event ? 8 : aim >= 0 ? 3 : 0;
	unsigned count = sizeof(shapes) / sizeof(shapes[0]);
	unsigned i = (unsigned)world_between(&s->world, first, count - 1);

	s->level_count = shapes[i].count;
	s->is_columns = shapes[i].is_columns;
	for (unsigned level = 0; level < s->level_count; level++) {
		s->level_size[level] = shapes[i].size[level];
		s->proxy_count += s->level_size[level];
	}
	s->parallel = (unsigned)world_between(&s->world, s->level_count == 0 ? 2 : 1, 3);
	s->tunnel_count = world_chance(&s->world, 25) ? 2 : 1;
	s->narrow_level = s->level_count > 0 && world_chance(&s->world, 20)
				  ? (int)world_between(&s->world, 0, s->level_count)
				  : -1;
}

static struct vway draw_way(struct scenario *s, struct vnode *to, bool is_narrow)
{
	struct world *w = &s->world;
	uint64_t rate_Bps_max = is_narrow ? 2 * MIB : 100 * MIB;

	return (struct vway){
		.to = to,
		.weight = (uint32_t)world_between(w, 1, 3),
		.link = {.delay_us = world_scale(w, 50, 30 * US_PER_MS),
			 .rate_Bps = world_scale(w, 500 * KIB, rate_Bps_max),
			 .buffer_bytes =
				 world_scale(w, 16 * KIB, is_narrow ? 32 * KIB : 512 * KIB)},
	};
}

/* Ways from the proxy at `place` of the level before, or from the ingress, to `level`. */
static unsigned draw_ways(struct scenario *s, unsigned level, unsigned first, int place,
			  struct vway ret_ways[WAYS_MAX])
{
	unsigned count = 0, size = level < s->level_count ? s->level_size[level] : 1;
	bool is_narrow = (int)level == s->narrow_level;
	unsigned parallel = is_narrow ? 1 : s->parallel;

	for (unsigned i = 0; i < size; i++) {
		struct vnode *to = level < s->level_count ? &s->proxies[first + i].node : NULL;

		if (to && s->is_columns && place >= 0 && (unsigned)place != i)
			continue;
		for (unsigned j = 0; j < parallel; j++)
			ret_ways[count++] = draw_way(s, to, is_narrow);
	}
	return count;
}

static unsigned proxy_ways(struct vproxy *p, unsigned tunnel, struct vway ret_ways[WAYS_MAX])
{
	struct scenario *s = p->user;
	unsigned index = (unsigned)(p - s->proxies);

	for (unsigned i = 0; i < s->way_count[index]; i++) {
		ret_ways[i] = s->ways[index][i];
		if (!ret_ways[i].to)
			ret_ways[i].to = &s->ends[tunnel][1].node;
	}
	return s->way_count[index];
}

static void make_proxies(struct scenario *s)
{
	unsigned index = 0;

	for (unsigned level = 0; level < s->level_count; level++) {
		unsigned next = index + s->level_size[level];

		for (unsigned i = 0; i < s->level_size[level]; i++, index++) {
			struct vproxy *p = &s->proxies[index];

			vproxy_init(p, &s->world, &s->links, &s->faults);
			p->level = level;
			p->ways = proxy_ways;
			p->user = s;
			snprintf(p->node.name, sizeof(p->node.name), "p%u.%u", level + 1, i + 1);
			s->way_count[index] = draw_ways(s, level + 1, next, (int)i, s->ways[index]);
		}
	}
}

static void make_tunnel(struct scenario *s, unsigned tunnel)
{
	struct world *w = &s->world;
	struct vend_config config = {
		.memory_bytes = world_scale(w, 4 * MIB, 16 * MIB),
		.window_max_bytes = (uint32_t)world_scale(w, 64 * KIB, 4 * MIB),
		.first_credit = (uint32_t)world_scale(w, 2 * KIB,
						      s->narrow_level < 0 ? 32 * KIB : 512 * KIB),
	};
	struct vway ways[WAYS_MAX];
	unsigned count = draw_ways(s, 0, 0, -1, ways);

	for (int i = 0; i < 2; i++) {
		struct vend *e = &s->ends[tunnel][i];

		config.scheduler = draw_scheduler(w);
		vend_init(e, w, &s->links, tunnel, i == 0, &config);
		e->streams = s->streams;
		e->stream_count = s->stream_count;
	}
	for (unsigned i = 0; i < count; i++)
		if (!ways[i].to)
			ways[i].to = &s->ends[tunnel][1].node;
	for (unsigned i = 0; i < count; i++)
		vpath_dial(&s->ends[tunnel][0], &ways[i], false);
}

static void make_streams(struct scenario *s, unsigned reset_percent)
{
	struct world *w = &s->world;
	uint64_t bytes = world_scale(w, s->narrow_level < 0 ? 20 * KIB : 4 * MIB, 24 * MIB);

	s->stream_count = (unsigned)world_scale(w, 1, STREAMS_MAX);
	for (unsigned i = 0; i < s->stream_count; i++) {
		vstream_init(&s->streams[i], w, &s->faults, i, bytes / s->stream_count + 1,
			     reset_percent);
		s->streams[i].tunnel = (unsigned)rng_below(&w->rng, s->tunnel_count);
	}
}

static void draw_faults(struct scenario *s, bool is_aimed, unsigned aim)
{
	struct world *w = &s->world;
	struct faults *f = &s->faults;

	faults_init(f, w, &s->links, s->proxies, s->proxy_count);
	f->strikes_left = (unsigned)world_scale(w, 0, 20);
	f->stall_percent = world_chance(w, 50) ? 60 : 0;
	f->strike_every_bytes = world_scale(w, 1, 200 * KIB);
	f->strike_at_bytes = world_scale(w, 0, 200 * KIB);
	f->is_outage = s->proxy_count && !is_aimed && world_chance(w, 3);
	if (!is_aimed)
		return;
	f->is_aimed = true;
	f->aim = faults_aim(aim);
	if (f->aim.kind == FAULT_PATH_LOST) {
		f->only_links = true;
		f->strikes_left = 30;
		f->strike_every_bytes = world_scale(w, 1, 4 * KIB);
		f->strike_at_bytes = world_scale(w, 0, 4 * KIB);
		s->parallel = 2;
		s->narrow_level = -1;
	} else {
		f->strikes_left /= 4;
		f->passes_left = (unsigned)world_scale(
			w, 0, f->aim.kind == FAULT_DATA || f->aim.kind == FAULT_ACK ? 40 : 2);
	}
}

static struct vway draw_another(struct changes *c, struct vnode *to)
{
	struct scenario *s = container_of(c, struct scenario, changes);

	return draw_way(s, to, false);
}

/* In half of the runs; where a proxy is to die at a DRAIN, many and soon. */
static void draw_changes(struct scenario *s)
{
	struct world *w = &s->world;
	bool is_about_drain = s->faults.is_aimed && s->faults.aim.kind == FAULT_DRAIN;
	unsigned count = world_chance(w, 50) ? (unsigned)world_scale(w, 1, 60) : 0;

	s->changes = (struct changes){.world = w,
				      .ends = s->ends,
				      .tunnel_count = s->tunnel_count,
				      .proxies = s->proxies,
				      .proxy_count = s->proxy_count,
				      .draw_way = draw_another};
	changes_start(&s->changes, is_about_drain ? 200 : count,
		      world_scale(w, US_PER_MS, is_about_drain ? 100 * US_PER_MS : US_PER_S));
}

static bool is_about_resets(const struct faults *f)
{
	return f->is_aimed && (f->aim.kind == FAULT_RESET || f->aim.kind == FAULT_RESET_ANSWER);
}

/* Clients arrive one by one. */
static void start_streams(void *arg)
{
	struct scenario *s = arg;
	uint64_t next_us = NEVER_US;

	for (unsigned i = 0; i < s->stream_count; i++) {
		struct vstream *stream = &s->streams[i];

		if (!stream->is_started && stream->start_us <= s->world.now_us)
			vend_start_stream(&s->ends[stream->tunnel][0], i);
		else if (!stream->is_started && stream->start_us < next_us)
			next_us = stream->start_us;
	}
	world_timer_set(&s->world, &s->start_timer, next_us);
}

/* ---- running and checking ---- */

static bool is_over(void *arg)
{
	struct scenario *s = arg;

	for (unsigned t = 0; t < s->tunnel_count; t++)
		for (int i = 0; i < 2; i++)
			if (tunnel_session_count(s->ends[t][i].tunnel) > 0)
				return false;
	for (unsigned i = 0; i < s->stream_count; i++)
		if (!vstream_is_over(&s->streams[i]))
			return false;
	return true;
}

static void check_streams(struct scenario *s)
{
	for (unsigned i = 0; i < s->stream_count; i++) {
		struct vstream *stream = &s->streams[i];
		struct vend *ends = s->ends[stream->tunnel];
		bool may_lose = ends[0].was_pathless_long || ends[1].was_pathless_long;
		const char *error = vstream_error(stream, may_lose);

		if (error)
			world_fail(&s->world, "stream %u should have ended well: %s", i, error);
	}
}

static void check_queues(struct scenario *s)
{
	for (unsigned i = 0; i < s->proxy_count; i++)
		if (s->proxies[i].queue_bytes_max > RELAY_QUEUE_BYTES + QUEUE_SLACK_BYTES)
			world_fail(&s->world, "%s had %zu bytes waiting", s->proxies[i].node.name,
				   s->proxies[i].queue_bytes_max);
}

static void print_state(const struct scenario *s)
{
	for (unsigned t = 0; t < s->tunnel_count; t++)
		for (int i = 0; i < 2; i++)
			vend_print(&s->ends[t][i]);
	for (unsigned i = 0; i < s->stream_count; i++)
		if (!vstream_is_over(&s->streams[i]))
			vstream_print(&s->streams[i]);
}

static void take_down(struct scenario *s)
{
	for (unsigned i = 0; i < s->stream_count; i++)
		vstream_done(&s->streams[i]);
	for (unsigned t = 0; t < s->tunnel_count; t++)
		for (int i = 0; i < 2; i++)
			vend_done(&s->ends[t][i]);
	for (unsigned i = 0; i < s->proxy_count; i++)
		vproxy_done(&s->proxies[i]);
	world_timer_stop(&s->world, &s->start_timer);
	faults_done(&s->faults);
	changes_done(&s->changes);
}

static void describe(const struct scenario *s, struct scenario_result *ret)
{
	char levels[32] = "";
	size_t at = 0;

	for (unsigned i = 0; i < s->level_count; i++)
		at += (size_t)snprintf(levels + at, sizeof(levels) - at, "%s%u",
				       i == 0	       ? ""
				       : s->is_columns ? "|"
						       : "x",
				       s->level_size[i]);
	snprintf(ret->topology, sizeof(ret->topology), "proxies %s, %u subflows, %u tunnels",
		 at ? levels : "none", s->parallel, s->tunnel_count);
}

static void build(struct scenario *s, int aim)
{
	draw_levels(s, aim);
	draw_faults(s, aim >= 0, aim >= 0 ? (unsigned)aim : 0);
	make_streams(s, is_about_resets(&s->faults) ? 60 : world_chance(&s->world, 50) ? 15 : 0);
	make_proxies(s);
	for (unsigned t = 0; t < s->tunnel_count; t++)
		make_tunnel(s, t);
	draw_changes(s);
	s->start_timer = (struct world_timer){.fire = start_streams, .arg = s};
	start_streams(s);
}

static int draw_aim(uint64_t seed)
{
	unsigned index = (unsigned)(seed / 2 % FAULT_AIMS);
	struct fault_aim aim = faults_aim(index);

	return seed % 2 && faults_can_happen(&aim) ? (int)index : -1;
}

struct scenario_result scenario_run(uint64_t seed, bool is_traced)
{
	struct scenario *s = calloc(1, sizeof(*s));
	struct scenario_result result = {.seed = seed, .aim = -1};

	if (!s)
		abort();
	result.aim = draw_aim(seed);
	world_init(&s->world, seed, is_traced);
	build(s, result.aim);
	describe(s, &result);
	world_run(&s->world, is_over, s);
	check_streams(s);
	check_queues(s);
	if (world_has_failed(&s->world) && is_traced)
		print_state(s);
	take_down(s);
	result.has_hit = s->faults.has_hit;
	memcpy(result.changes, s->changes.done, sizeof(result.changes));
	snprintf(result.failure, sizeof(result.failure), "%s", s->world.failure);
	if (!world_has_failed(&s->world))
		world_done(&s->world);
	else
		free(s->world.heap);
	free(s);
	return result;
}
