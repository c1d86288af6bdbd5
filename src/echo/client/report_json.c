/* JSON by hand: all names are ours, and a host has no character that would need escaping
 * (parse_host() sees to it). */
#include "echo/client/report.h"

#include <inttypes.h>

static void print_plan(const struct summary *s, FILE *out)
{
	const struct plan *plan = s->plan;

	fprintf(out,
		"{\"test\": \"%s\", \"model\": \"%s\", \"host\": \"%s\", \"port\": %u, "
		"\"depth\": %" PRIu32 ", ",
		test_name(plan->test), model_name(plan->model), plan->host,
		(unsigned)address_port(&plan->server), plan->depth);
	if (plan->connections == PLAN_UNLIMITED)
		fputs("\"asked\": \"max\", ", out);
	else
		fprintf(out, "\"asked\": %" PRIu32 ", ", plan->connections);
}

static void print_connecting(const struct summary *s, FILE *out)
{
	bool is_first = true;

	fprintf(out, "\"workers\": %" PRIu32 ", \"connected\": %" PRIu64 ", \"failed\": {",
		s->workers, s->connected);
	for (int cause = 0; cause < CAUSE_COUNT; cause++) {
		if (s->failed[cause] == 0)
			continue;
		fprintf(out, "%s\"%s\": %" PRIu64, is_first ? "" : ", ",
			cause_name((enum cause)cause), s->failed[cause]);
		is_first = false;
	}
	fprintf(out,
		"}, \"connect_seconds\": %.6f, \"connections_per_s\": %.1f, "
		"\"stopped_by\": \"%s\", ",
		seconds(s->connect_ns), summary_connect_rate(s), cause_name(s->stopped_by));
}

/* What is not known is null. */
static void print_bytes(const char *name, double bytes, FILE *out)
{
	if (bytes < 0)
		fprintf(out, "\"%s\": null", name);
	else
		fprintf(out, "\"%s\": %.1f", name, bytes);
}

static void print_memory(const struct summary *s, FILE *out)
{
	if (!s->has_memory) {
		fputs("\"memory\": null, ", out);
		return;
	}
	fputs("\"memory\": {", out);
	print_bytes("client_bytes", summary_client_bytes(s), out);
	fputs(", ", out);
	print_bytes("server_bytes", summary_server_bytes(s), out);
	fputs(", ", out);
	print_bytes(s->plan->server_pid ? "kernel_bytes" : "other_bytes", summary_kernel_bytes(s),
		    out);
	fputs("}, ", out);
}

static void print_holding(const struct summary *s, FILE *out)
{
	fprintf(out,
		"\"held\": %" PRIu64 ", \"held_seconds\": %.6f, \"sample\": %" PRIu64
		", \"verified\": %" PRIu64 ", ",
		s->held, seconds(s->held_ns), s->sample, s->verified);
	print_memory(s, out);
}

static void print_size(const struct summary *s, uint32_t i, FILE *out)
{
	const struct hist *h = &s->sizes[i].latency_ns;
	double messages = summary_message_rate(s, i), bytes = messages * s->plan->sizes[i];

	fprintf(out,
		"{\"size\": %" PRIu32 ", \"seconds\": %.6f, \"messages\": %" PRIu64
		", \"messages_per_s\": %.1f, \"bytes_per_s\": %.0f, \"mb_per_s\": %.3f, ",
		s->plan->sizes[i], seconds(s->measured_ns[i]), s->sizes[i].messages, messages,
		bytes, bytes / 1e6);
	fprintf(out,
		"\"latency_us\": {\"samples\": %" PRIu64
		", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99_9\": %.1f, \"max\": %.1f, "
		"\"mean\": %.1f}}",
		h->count, (double)hist_percentile(h, .5) / 1e3,
		(double)hist_percentile(h, .9) / 1e3, (double)hist_percentile(h, .99) / 1e3,
		(double)hist_percentile(h, .999) / 1e3, h->count ? (double)h->max / 1e3 : 0,
		hist_mean(h) / 1e3);
}

static void print_sizes(const struct summary *s, FILE *out)
{
	fputs("\"sizes\": [", out);
	for (uint32_t i = 0; i < s->size_count; i++) {
		fputs(i ? ", " : "", out);
		print_size(s, i, out);
	}
	fputs("], ", out);
}

static void print_trouble(const struct summary *s, FILE *out)
{
	for (int outcome = OUTCOME_GOOD + 1; outcome < OUTCOME_COUNT; outcome++)
		fprintf(out, "\"%s\": %" PRIu64 ", ", outcome_name((enum outcome)outcome),
			s->outcomes[outcome]);
	if (s->wrong.is_set)
		fprintf(out,
			"\"first_wrong\": {\"connection\": %" PRIu32 ", \"offset\": %" PRIu64 "}, ",
			s->wrong.connection, s->wrong.offset);
	fprintf(out, "\"workers_lost\": %" PRIu32 ", \"interrupted\": %s, \"good\": %s}\n",
		s->workers_lost, s->is_interrupted ? "true" : "false",
		summary_is_good(s) ? "true" : "false");
}

void report_json(const struct summary *s, FILE *out)
{
	print_plan(s, out);
	print_connecting(s, out);
	if (s->plan->test == TEST_CONNECTIONS)
		print_holding(s, out);
	else
		print_sizes(s, out);
	print_trouble(s, out);
}
