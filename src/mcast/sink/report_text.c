/* For people: a table of the streams, then what is true of all. */
#include "mcast/sink/report.h"

#include <inttypes.h>

#define DELAYS 5

static void print_titles(FILE *out)
{
	static const char *const delays[] = {"p50 us", "p90 us", "p99 us", "p99.9 us", "max us"};

	fprintf(out, "%-22s %10s %8s %8s %8s %8s %8s %8s", "stream", "received", "lost", "dropped",
		"dup", "reord", "corrupt", "foreign");
	for (size_t i = 0; i < DELAYS; i++)
		fprintf(out, " %9s", delays[i]);
	fputc('\n', out);
}

static void print_row(const char *name, const struct figures *f, FILE *out)
{
	static const double parts[DELAYS] = {.5, .9, .99, .999, 1};

	fprintf(out,
		"%-22s %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
		" %8" PRIu64,
		name, f->received, f->lost, f->dropped_here, f->duplicated, f->reordered,
		f->corrupted, f->foreign);
	for (size_t i = 0; i < DELAYS; i++)
		fprintf(out, " %9.1f", (double)hist_percentile(&f->delay_ns, parts[i]) / 1e3);
	fputc('\n', out);
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
		print_row(text, &f, out);
	}
}

static void print_rest(const struct report *r, FILE *out)
{
	const struct figures *f = r->total;
	double seconds = figures_seconds(f);

	fprintf(out, "%" PRIu64 " bytes in %.3f s, %.1f packets a second; processor time %.3f s\n",
		f->bytes, seconds, seconds > 0 ? (double)f->received / seconds : 0,
		r->processor_seconds);
	if (f->lost > 0)
		fprintf(out,
			"lost on the way: %" PRIu64 ", dropped by a full queue here: %" PRIu64 "\n",
			f->lost_on_way, f->dropped_here);
	if (f->too_late > 0)
		fprintf(out,
			"%" PRIu64 " came behind %u others or more: whether they came before is "
			"not known\n",
			f->too_late, ACCOUNT_WINDOW);
	if (f->early > 0)
		fprintf(out,
			"%" PRIu64 " came before they were sent: the clocks of the hosts differ\n",
			f->early);
	fprintf(out, "ended by: %s\n", ending_name(r->sink->ending));
	if (r->sink->plan->expect > 0)
		fprintf(out, "%s\n",
			r->is_exact ? "all that was expected came exactly once"
				    : "not all that was expected came exactly once");
}

void report_text(const struct report *r, FILE *out)
{
	print_titles(out);
	if (!r->sink->plan->is_total)
		print_streams(r, out);
	print_row("total", r->total, out);
	print_rest(r, out);
}
