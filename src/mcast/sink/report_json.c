/* For programs. JSON by hand: all names are ours, and addresses have nothing to escape. */
#include "mcast/sink/report.h"

#include <inttypes.h>

static void print_counts(const struct figures *f, FILE *out)
{
	fprintf(out,
		"\"received\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"lost\": %" PRIu64
		", \"lost_on_way\": %" PRIu64 ", \"dropped_here\": %" PRIu64
		", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"too_late\": %" PRIu64
		", \"corrupted\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"early\": %" PRIu64 ", ",
		f->received, f->bytes, f->lost, f->lost_on_way, f->dropped_here, f->duplicated,
		f->reordered, f->too_late, f->corrupted, f->foreign, f->early);
}

static void print_figures(const struct figures *f, FILE *out)
{
	const struct hist *h = &f->delay_ns;

	print_counts(f, out);
	fprintf(out,
		"\"seconds\": %.6f, \"delay_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
		"\"p99_9\": %.1f, \"max\": %.1f, \"mean\": %.1f}",
		figures_seconds(f), (double)hist_percentile(h, .5) / 1e3,
		(double)hist_percentile(h, .9) / 1e3, (double)hist_percentile(h, .99) / 1e3,
		(double)hist_percentile(h, .999) / 1e3, (double)hist_percentile(h, 1) / 1e3,
		hist_mean(h) / 1e3);
}

static void print_origin(const struct flow *f, FILE *out)
{
	if (f->has_origin)
		fprintf(out, "\"run\": %" PRIu32 ", \"stream\": %" PRIu32 ", ", f->run, f->stream);
	else
		fputs("\"run\": null, \"stream\": null, ", out);
}

static void print_streams(const struct report *r, FILE *out)
{
	const struct plan *plan = r->sink->plan;
	char text[HOSTPORT_TEXT_MAX];

	for (uint32_t i = 0; i < plan->streams.count; i++) {
		struct figures f = {0};

		hist_init(&f.delay_ns);
		figures_add(&f, &r->sink->flows[i], plan->expect);
		streams_text(&plan->streams, i, text);
		fprintf(out, "%s{\"address\": \"%s\", ", i ? ", " : "", text);
		print_origin(&r->sink->flows[i], out);
		print_figures(&f, out);
		fputc('}', out);
	}
}

void report_json(const struct report *r, FILE *out)
{
	const struct plan *plan = r->sink->plan;

	fputs("{\"total\": {", out);
	print_figures(r->total, out);
	fputs("}, ", out);
	if (!plan->is_total) {
		fputs("\"streams\": [", out);
		print_streams(r, out);
		fputs("], ", out);
	}
	if (plan->expect > 0)
		fprintf(out, "\"expected\": %" PRIu64 ", \"exact\": %s, ", plan->expect,
			r->is_exact ? "true" : "false");
	fprintf(out, "\"processor_seconds\": %.6f, \"ended_by\": \"%s\"}\n", r->processor_seconds,
		ending_name(r->sink->ending));
}
