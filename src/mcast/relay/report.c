/* What the counters say: as JSON, as metrics, and at the end. */
#include "mcast/relay/supervisor.h"

#include "common/base/clock.h"
#include "mcast/common/rule_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

void report_add(struct board_stream *sum, const struct board_stream *c)
{
	sum->received_packets += c->received_packets;
	sum->received_bytes += c->received_bytes;
	sum->matched_packets += c->matched_packets;
	sum->sent_packets += c->sent_packets;
	sum->sent_bytes += c->sent_bytes;
	sum->queue_drops += c->queue_drops;
	for (int i = 0; i < DROP_REASONS; i++)
		sum->drops[i] += c->drops[i];
}

static struct board_stream sum_of(const struct supervisor *s)
{
	struct board_stream sum = s->board->ended;

	list_for_each(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		report_add(&sum, &s->board->streams[st->slot]);
	}
	return sum;
}

/* What rings have lost cannot be told by streams. */
static struct board_ring sum_of_rings(const struct supervisor *s, uint32_t seat)
{
	struct board_ring sum = {0};

	rings_add(s->rings, seat, &sum);
	return sum;
}

/* ---- JSON ---- */

static json_t *drops_json(const struct board_stream *c)
{
	json_t *drops = json_object();

	json_object_set_new(drops, "queue", number(c->queue_drops));
	for (int i = 0; i < DROP_REASONS; i++)
		json_object_set_new(drops, drop_reason_names[i], number(c->drops[i]));
	return drops;
}

static json_t *counters_json(const struct board_stream *c)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "received_packets",
			 number(c->received_packets), "received_bytes", number(c->received_bytes),
			 "matched_packets", number(c->matched_packets), "sent_packets",
			 number(c->sent_packets), "sent_bytes", number(c->sent_bytes), "drops",
			 drops_json(c));
}

static json_t *stream_json(const struct stream *st)
{
	const struct board_stream *c = &st->supervisor->board->streams[st->slot];
	double bytes =
		c->received_packets ? (double)c->received_bytes / (double)c->received_packets : 0;
	json_t *json = counters_json(c);

	json_object_set_new(json, "name", json_string(st->rule.name));
	json_object_set_new(json, "pps", json_real(st->load_pps));
	json_object_set_new(json, "bps", json_real(st->load_pps * bytes * 8));
	json_object_set_new(json, "jitter_us", json_real((double)c->jitter_ns / 1000));
	if (c->last_packet_ns)
		json_object_set_new(json, "idle_ms",
				    number((clock_now_ns() - c->last_packet_ns) / NS_PER_MS));
	return json;
}

json_t *report_stats(struct supervisor *s, const char *name, size_t from, size_t count)
{
	json_t *streams = json_array();
	struct board_stream sum = sum_of(s);

	sum.queue_drops += sum_of_rings(s, BOARD_WORKERS_MAX).queue_drops;
	for (size_t i = from; i < ruleset_count(s->rules) && json_array_size(streams) < count;
	     i++) {
		const struct rule *r = ruleset_at(s->rules, i);
		struct stream *st = stream_find(s, r->name);

		if (st && (!*name || strcmp(name, r->name) == 0))
			json_array_append_new(streams, stream_json(st));
	}
	return json_pack("{s:o, s:o, s:o}", "streams", streams, "total", counters_json(&sum),
			 "rules", number(ruleset_count(s->rules)));
}

json_t *report_list(struct supervisor *s, size_t from, size_t count)
{
	json_t *rules = json_array();

	for (size_t i = from; i < ruleset_count(s->rules) && json_array_size(rules) < count; i++) {
		struct stream *st = stream_find(s, ruleset_at(s->rules, i)->name);
		const char *why = NULL;
		bool is_live = st && stream_is_live(st, &why);
		json_t *json = rule_to_json(ruleset_at(s->rules, i));

		json_object_set_new(json, "state", json_string(is_live ? "live" : "waiting"));
		if (why)
			json_object_set_new(json, "why", json_string(why));
		if (st && st->owner)
			json_object_set_new(json, "worker", number(st->owner->index));
		json_array_append_new(rules, json);
	}
	return json_pack("{s:o, s:o}", "rules", rules, "total", number(ruleset_count(s->rules)));
}

static const char *state_name(enum process_state state)
{
	static const char *const names[] = {
		[PROCESS_NEW] = "new",		 [PROCESS_USABLE] = "live",
		[PROCESS_RETIRING] = "retiring", [PROCESS_ENDING] = "ending",
		[PROCESS_GONE] = "gone",
	};

	return names[state];
}

static json_t *process_json(const struct supervisor *s, const struct process *p)
{
	const struct board_worker *c = &s->board->workers[p->seat];
	const struct board_ring ring = sum_of_rings(s, p->seat);
	double age_ns = (double)(clock_now_ns() - p->since_ns);

	return json_pack("{s:o, s:i, s:o, s:f, s:f, s:o, s:s, s:o, s:o, s:o}", "index",
			 number(p->index), "pid", (int)p->pid, "streams", number(p->stream_count),
			 "pps", p->load_pps, "busy",
			 age_ns > 0 ? (double)(c->busy_ns - p->busy_before_ns) / age_ns : 0.0,
			 "turns", number(c->turns), "state", state_name(p->state), "queue_drops",
			 number(ring.queue_drops), "damaged", number(ring.damaged), "strays",
			 number(ring.strays));
}

json_t *report_workers(struct supervisor *s)
{
	json_t *workers = json_array();

	list_for_each(node, &s->processes) {
		struct process *p = container_of(node, struct process, node);

		if (p->seat < BOARD_WORKERS_MAX)
			json_array_append_new(workers, process_json(s, p));
	}
	return json_pack("{s:o}", "workers", workers);
}

/* ---- metrics (Prometheus text, version 0.0.4) ---- */

static const struct {
	const char *name, *help;
	size_t offset;
} families[] = {
	{"received_packets", "Datagrams that came by the inputs of a rule.",
	 offsetof(struct board_stream, received_packets)},
	{"received_bytes", "Their payload.", offsetof(struct board_stream, received_bytes)},
	{"matched_packets", "Of them, those that go on.",
	 offsetof(struct board_stream, matched_packets)},
	{"sent_packets", "Datagrams that were sent, by all outputs.",
	 offsetof(struct board_stream, sent_packets)},
	{"sent_bytes", "Their payload.", offsetof(struct board_stream, sent_bytes)},
	{"queue_drops", "Datagrams that a full input had no room for.",
	 offsetof(struct board_stream, queue_drops)},
};

/* The name of a rule is printable ASCII without quotes. */
static void write_family(FILE *out, const struct supervisor *s, size_t f)
{
	fprintf(out, "# HELP mcast_%s_total %s\n# TYPE mcast_%s_total counter\n", families[f].name,
		families[f].help, families[f].name);
	list_for_each(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);
		const uint8_t *c = (const uint8_t *)&s->board->streams[st->slot];
		uint64_t value;

		memcpy(&value, c + families[f].offset, sizeof(value));
		if (st->state != STREAM_LEAVING)
			fprintf(out, "mcast_%s_total{rule=\"%s\"} %" PRIu64 "\n", families[f].name,
				st->rule.name, value);
	}
}

static void write_gauge(FILE *out, const char *name, const char *help)
{
	fprintf(out, "# HELP mcast_%s %s\n# TYPE mcast_%s gauge\n", name, help, name);
}

static void write_states(FILE *out, const struct supervisor *s)
{
	write_gauge(out, "live", "1: all inputs of the rule are there; 0: it waits for one.");
	list_for_each(node, &s->streams) {
		const struct stream *st = container_of(node, struct stream, node);

		if (st->state != STREAM_LEAVING)
			fprintf(out, "mcast_live{rule=\"%s\"} %d\n", st->rule.name,
				stream_is_live(st, NULL));
	}
	write_gauge(out, "jitter_seconds", "How the gaps between packets differ (RFC 3550).");
	list_for_each(other, &s->streams) {
		const struct stream *st = container_of(other, struct stream, node);

		if (st->state != STREAM_LEAVING)
			fprintf(out, "mcast_jitter_seconds{rule=\"%s\"} %.9f\n", st->rule.name,
				(double)s->board->streams[st->slot].jitter_ns / (double)NS_PER_S);
	}
}

static void write_drops(FILE *out, const struct supervisor *s)
{
	fputs("# HELP mcast_drops_total Datagrams that did not go on, by reason.\n"
	      "# TYPE mcast_drops_total counter\n",
	      out);
	list_for_each(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		for (int i = 0; i < DROP_REASONS && st->state != STREAM_LEAVING; i++)
			fprintf(out, "mcast_drops_total{rule=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				st->rule.name, drop_reason_names[i],
				s->board->streams[st->slot].drops[i]);
	}
}

static void write_workers(FILE *out, const struct supervisor *s)
{
	const struct board_ring rings = sum_of_rings(s, BOARD_WORKERS_MAX);

	fprintf(out,
		"# HELP mcast_ring_drops_total Packets that came by rings and did not go on, by "
		"reason.\n"
		"# TYPE mcast_ring_drops_total counter\n"
		"mcast_ring_drops_total{reason=\"queue\"} %" PRIu64 "\n"
		"mcast_ring_drops_total{reason=\"damaged\"} %" PRIu64 "\n"
		"mcast_ring_drops_total{reason=\"stray\"} %" PRIu64 "\n",
		rings.queue_drops, rings.damaged, rings.strays);
	write_gauge(out, "worker_up", "1: the worker takes streams; 0: it has died, and rests.");
	for (uint32_t i = 0; i < s->options->worker_count; i++)
		fprintf(out, "mcast_worker_up{worker=\"%u\"} %d\n", i, staff_at(s, i) != NULL);
	fputs("# HELP mcast_worker_busy_seconds_total Time that a worker did not wait.\n"
	      "# TYPE mcast_worker_busy_seconds_total counter\n",
	      out);
	list_for_each(node, &s->processes) {
		struct process *p = container_of(node, struct process, node);

		if (p->state == PROCESS_USABLE)
			fprintf(out, "mcast_worker_busy_seconds_total{worker=\"%u\"} %.6f\n",
				p->index,
				(double)s->board->workers[p->seat].busy_ns / (double)NS_PER_S);
	}
}

char *report_metrics(struct supervisor *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++)
		write_family(out, s, f);
	write_states(out, s);
	write_drops(out, s);
	write_workers(out, s);
	write_gauge(out, "rules", "Rules.");
	fprintf(out, "mcast_rules %zu\n", ruleset_count(s->rules));
	fclose(out);
	return text;
}

/* ---- the end ---- */

void report_final(struct supervisor *s)
{
	struct board_stream sum = sum_of(s);

	sum.queue_drops += sum_of_rings(s, BOARD_WORKERS_MAX).queue_drops;
	printf("[STATS:Ingress FINAL] workers=%u rules=%zu packets=%" PRIu64 " bytes=%" PRIu64
	       " matched=%" PRIu64 " queue_drops=%" PRIu64 " copies=%" PRIu64 " aliens=%" PRIu64
	       " loops=%" PRIu64 "\n",
	       s->options->worker_count, ruleset_count(s->rules), sum.received_packets,
	       sum.received_bytes, sum.matched_packets, sum.queue_drops, sum.drops[DROP_COPY],
	       sum.drops[DROP_ALIEN], sum.drops[DROP_LOOP]);
	printf("[STATS:Egress FINAL] workers=%u rules=%zu sent=%" PRIu64 " bytes=%" PRIu64
	       " busy=%" PRIu64 " down=%" PRIu64 " refused=%" PRIu64 "\n",
	       s->options->worker_count, ruleset_count(s->rules), sum.sent_packets, sum.sent_bytes,
	       sum.drops[DROP_BUSY], sum.drops[DROP_DOWN], sum.drops[DROP_REFUSED]);
	fflush(stdout);
}
