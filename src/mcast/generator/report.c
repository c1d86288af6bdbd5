/* What was sent: see report.h. */
#include "mcast/generator/report.h"

#include <inttypes.h>
#include <string.h>

static double seconds(const struct report *r)
{
	return (double)(r->tally->last_ns - r->tally->start_ns) / 1e9;
}

static double asked_pps(const struct report *r)
{
	return (double)r->plan->rate_pps * r->plan->streams.count;
}

static double achieved_pps(const struct report *r)
{
	return seconds(r) > 0 ? (double)r->tally->packets / seconds(r) : 0;
}

static double late_us(const struct report *r, double part)
{
	return (double)hist_percentile(&r->tally->late_ns, part) / 1e3;
}

void report_text(const struct report *r, FILE *out)
{
	const struct tally *t = r->tally;

	fprintf(out, "%" PRIu32 " streams, %" PRIu64 " packets, %" PRIu64 " bytes in %.3f s%s\n",
		r->plan->streams.count, t->packets, t->bytes, seconds(r),
		r->is_interrupted ? ", ended by a signal" : "");
	fprintf(out, "packets a second: %.1f asked, %.1f achieved; processor time %.3f s\n",
		asked_pps(r), achieved_pps(r), r->processor_seconds);
	fprintf(out, "late: p50 %.1f us, p99 %.1f us, max %.1f us", late_us(r, .5), late_us(r, .99),
		late_us(r, 1));
	if (t->slipped_ns > 0)
		fprintf(out, "; not made up for: %.1f ms", (double)t->slipped_ns / 1e6);
	fprintf(out, "\nerrors: %s", t->error_count == 0 ? "none" : "");
	for (size_t i = 0; i < t->error_count; i++)
		fprintf(out, "%s%" PRIu64 " times %s", i ? ", " : "", t->errors[i].times,
			strerror(t->errors[i].number));
	if (t->unsent > 0)
		fprintf(out, "; %" PRIu64 " packets not sent", t->unsent);
	fputc('\n', out);
}

void report_json(const struct report *r, FILE *out)
{
	const struct tally *t = r->tally;

	fprintf(out,
		"{\"run\": %" PRIu32 ", \"streams\": %" PRIu32 ", \"packets\": %" PRIu64
		", \"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"pps_asked\": %.1f, "
		"\"pps\": %.1f, \"processor_seconds\": %.6f, ",
		r->run, r->plan->streams.count, t->packets, t->bytes, seconds(r), asked_pps(r),
		achieved_pps(r), r->processor_seconds);
	fprintf(out,
		"\"late_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}, "
		"\"slipped_ms\": %.3f, \"unsent\": %" PRIu64 ", \"errors\": {",
		late_us(r, .5), late_us(r, .99), late_us(r, 1), (double)t->slipped_ns / 1e6,
		t->unsent);
	for (size_t i = 0; i < t->error_count; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "",
			strerrorname_np(t->errors[i].number), t->errors[i].times);
	fprintf(out, "}, \"interrupted\": %s}\n", r->is_interrupted ? "true" : "false");
}
