/* JSON by hand: all keys and names are of letters that need no escaping (command.c sees to it). */
#include "emulator/report.h"

#include "emulator/core/command.h"
#include "emulator/core/quantity.h"

#include <inttypes.h>

static double percent(uint64_t ppb)
{
	return (double)ppb * 100 / PPB_ALL;
}

static double milliseconds(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void report_settings(const struct settings *s, FILE *out)
{
	fprintf(out,
		"\"settings\": {\"rate_bps\": %" PRIu64 ", \"delay_ms\": %.6f, "
		"\"jitter_ms\": %.6f, \"loss_percent\": %.7f, \"burst_percent\": %.7f, "
		"\"burst_packets\": %.3f, ",
		s->rate_bps, milliseconds(s->delay_ns), milliseconds(s->jitter_ns),
		percent(s->loss_ppb), percent(s->burst_ppb), (double)s->burst_mille / 1000);
	fprintf(out,
		"\"reorder_percent\": %.7f, \"reorder_ms\": %.6f, \"duplicate_percent\": %.7f, "
		"\"limit_bytes\": %" PRIu64 ", \"limit_packets\": %" PRIu64 "}",
		percent(s->reorder_ppb), milliseconds(s->reorder_ns), percent(s->duplicate_ppb),
		s->limit_bytes, s->limit_packets);
}

static void report_counters(const struct direction *d, FILE *out)
{
	const struct counters *c = &d->counters;

	fprintf(out,
		"\"in_packets\": %" PRIu64 ", \"in_bytes\": %" PRIu64 ", \"out_packets\": %" PRIu64
		", \"out_bytes\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64
		", \"dropped\": {",
		c->in_packets, c->in_bytes, c->out_packets, c->out_bytes, c->duplicated,
		c->reordered);
	for (enum drop drop = 0; drop < DROP_COUNT; drop++)
		fprintf(out, "%s\"%s\": %" PRIu64, drop ? ", " : "", drop_name(drop),
			c->dropped[drop]);
	fprintf(out,
		"}, \"queue_packets\": %" PRIu64 ", \"queue_bytes\": %" PRIu64
		", \"queue_bytes_max\": %" PRIu64 ", \"under_way\": %" PRIu64,
		d->queue_packets, d->queue_bytes, c->queue_bytes_max, d->packet_count);
}

static void report_way(struct cable *c, size_t way, FILE *out)
{
	const struct direction *d = &c->ways[way];
	const struct lateness *l = &c->lateness[way];

	port_count_missed(&c->ports[way]);
	fprintf(out, "\"%s\": {\"blackhole\": %s, ", direction_names[way],
		d->is_blackhole ? "true" : "false");
	report_settings(&d->settings, out);
	fputs(", ", out);
	report_counters(d, out);
	fprintf(out,
		", \"missed\": %" PRIu64 ", \"late_packets\": %" PRIu64 ", \"late_max_us\": %.1f}",
		c->ports[way].missed, l->late_packets, (double)l->max_ns / 1e3);
}

static void report_cable(struct cable *c, FILE *out)
{
	fprintf(out, "\"%s\": {\"down\": %s, ", c->name, c->is_down ? "true" : "false");
	report_way(c, 0, out);
	fputs(", ", out);
	report_way(c, 1, out);
	fputc('}', out);
}

void report(const struct emulator *e, struct cable *only, FILE *out)
{
	bool is_first = true;

	fputs("{\"links\": {", out);
	list_for_each(node, &e->cables) {
		struct cable *c = container_of(node, struct cable, node);

		if (only && c != only)
			continue;
		fputs(is_first ? "" : ", ", out);
		report_cable(c, out);
		is_first = false;
	}
	fputs("}}\n", out);
}
