/* A table for people. MB are millions of bytes, of what was echoed, counted once. */
#include "echo/client/report.h"

#include <inttypes.h>

static double microseconds(double ns)
{
	return ns / 1e3;
}

static void print_failed(const struct summary *s, FILE *out)
{
	fprintf(out, "%-12s%9" PRIu64, "failed", summary_failed(s));
	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		if (s->failed[cause] > 0)
			fprintf(out, "  %s %" PRIu64, cause_name((enum cause)cause),
				s->failed[cause]);
	fputc('\n', out);
}

static void print_connecting(const struct summary *s, FILE *out)
{
	if (s->plan->connections == PLAN_UNLIMITED)
		fprintf(out, "%-12s%9s\n", "asked", "max");
	else
		fprintf(out, "%-12s%9" PRIu32 "\n", "asked", s->plan->connections);
	fprintf(out, "%-12s%9" PRIu64 "  in %.3f s, %.0f a second, by %" PRIu32 " %s\n",
		"connected", s->connected, seconds(s->connect_ns), summary_connect_rate(s),
		s->workers, s->workers == 1 ? "worker" : "workers");
	print_failed(s, out);
	fprintf(out, "%-12s%9s  %s\n", "stopped by", "", cause_words(s->stopped_by));
}

/* What is not known is left out. */
static void print_bytes(const char *whose, double bytes, FILE *out)
{
	if (bytes >= 0)
		fprintf(out, ", %.0f %s", bytes, whose);
}

static void print_memory(const struct summary *s, FILE *out)
{
	fprintf(out, "%-12s%9s  bytes a connection", "memory", "");
	print_bytes("client", summary_client_bytes(s), out);
	print_bytes("server", summary_server_bytes(s), out);
	print_bytes(s->plan->server_pid ? "kernel" : "kernel and what else was begun here",
		    summary_kernel_bytes(s), out);
	fputc('\n', out);
}

static void print_holding(const struct summary *s, FILE *out)
{
	fprintf(out, "%-12s%9" PRIu64 "  for %.3f s\n", "held", s->held, seconds(s->held_ns));
	fprintf(out, "%-12s%9" PRIu64 "  of %" PRIu64 "\n", "verified", s->verified, s->sample);
	if (s->has_memory)
		print_memory(s, out);
}

/* Only what happened. */
static void print_trouble(const struct summary *s, FILE *out)
{
	for (int outcome = OUTCOME_GOOD + 1; outcome < OUTCOME_COUNT; outcome++)
		if (s->outcomes[outcome] > 0)
			fprintf(out, "%-12s%9" PRIu64 "  connections\n",
				outcome_name((enum outcome)outcome), s->outcomes[outcome]);
	if (s->wrong.is_set)
		fprintf(out,
			"%-12s%9" PRIu32 "  connection with the first wrong byte, at %" PRIu64 "\n",
			"", s->wrong.connection, s->wrong.offset);
	if (s->workers_lost > 0)
		fprintf(out, "%-12s%9" PRIu32 "  ended unexpectedly\n", "workers", s->workers_lost);
	if (s->is_interrupted)
		fprintf(out, "%-12s%9s  by a signal\n", "interrupted", "");
}

static void print_rates(const struct summary *s, uint32_t i, FILE *out)
{
	double messages = summary_message_rate(s, i);

	fprintf(out, " %12.0f %10.2f", messages, messages * s->plan->sizes[i] / 1e6);
}

static void print_latencies(const struct summary *s, uint32_t i, FILE *out)
{
	static const double parts[] = {.5, .9, .99, .999};
	const struct hist *h = &s->sizes[i].latency_ns;

	for (size_t k = 0; k < sizeof(parts) / sizeof(*parts); k++)
		fprintf(out, " %9.1f", microseconds((double)hist_percentile(h, parts[k])));
	fprintf(out, " %9.1f %9.1f", microseconds(h->count ? (double)h->max : 0),
		microseconds(hist_mean(h)));
}

static void print_sizes(const struct summary *s, FILE *out)
{
	static const char rates[] = "   messages/s       MB/s";
	static const char latencies[] =
		"    p50 us    p90 us    p99 us  p99.9 us    max us   mean us";
	bool is_latency = s->plan->test == TEST_LATENCY;

	fprintf(out, "%9s%s%s\n", "bytes", is_latency ? latencies : rates,
		is_latency ? rates : latencies);
	for (uint32_t i = 0; i < s->size_count; i++) {
		fprintf(out, "%9" PRIu32, s->plan->sizes[i]);
		(is_latency ? print_latencies : print_rates)(s, i, out);
		(is_latency ? print_rates : print_latencies)(s, i, out);
		fputc('\n', out);
	}
}

void report_text(const struct summary *s, FILE *out)
{
	const struct plan *plan = s->plan;

	fprintf(out, "%s test, %s model, %s port %u", test_name(plan->test),
		model_name(plan->model), plan->host, (unsigned)address_port(&plan->server));
	if (plan->test != TEST_CONNECTIONS)
		fprintf(out, ", depth %" PRIu32, plan->depth);
	fputc('\n', out);
	print_connecting(s, out);
	if (plan->test == TEST_CONNECTIONS)
		print_holding(s, out);
	print_trouble(s, out);
	if (s->size_count > 0)
		print_sizes(s, out);
}
