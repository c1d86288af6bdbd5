/* Sums and verdict: see summary.h. */
#include "echo/client/summary.h"

static void add_sizes(struct summary *s, struct result *r)
{
	result_lock(r);
	for (uint32_t i = 0; i < s->size_count; i++) {
		s->sizes[i].messages += r->sizes[i].messages;
		if (r->sizes[i].latency_ns.count > 0)
			hist_merge(&s->sizes[i].latency_ns, &r->sizes[i].latency_ns);
	}
	if (!s->wrong.is_set)
		s->wrong = r->wrong;
	result_unlock(r);
}

void summary_add_results(struct summary *s, struct board *b)
{
	for (uint32_t i = 0; i < s->size_count; i++)
		hist_init(&s->sizes[i].latency_ns);
	for (uint32_t i = 0; i < s->workers; i++) {
		struct result *r = &b->results[i];

		s->connected += r->connected;
		s->held += r->held;
		s->verified += r->verified;
		for (int cause = 0; cause < CAUSE_COUNT; cause++)
			s->failed[cause] += r->failed[cause];
		for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
			s->outcomes[outcome] += r->outcomes[outcome];
		add_sizes(s, r);
	}
}

uint64_t summary_failed(const struct summary *s)
{
	uint64_t sum = 0;

	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		sum += s->failed[cause];
	return sum;
}

static double rate(uint64_t count, uint64_t ns)
{
	return ns ? (double)count * (double)NS_PER_S / (double)ns : 0;
}

double summary_connect_rate(const struct summary *s)
{
	return rate(s->connected, s->connect_ns);
}

double summary_message_rate(const struct summary *s, uint32_t size_index)
{
	return rate(s->sizes[size_index].messages, s->measured_ns[size_index]);
}

static double for_each_connection(const struct summary *s, int64_t bytes)
{
	return s->has_memory && s->connected ? (double)bytes / (double)s->connected : -1;
}

static int64_t client_growth(const struct summary *s)
{
	return s->after.client_bytes - s->before.client_bytes;
}

static int64_t server_growth(const struct summary *s)
{
	return s->after.server_bytes - s->before.server_bytes;
}

double summary_client_bytes(const struct summary *s)
{
	return for_each_connection(s, client_growth(s));
}

double summary_server_bytes(const struct summary *s)
{
	return for_each_connection(s, s->plan->server_pid ? server_growth(s) : -1);
}

double summary_kernel_bytes(const struct summary *s)
{
	int64_t lost = s->before.available_bytes - s->after.available_bytes;

	return for_each_connection(s, lost - client_growth(s) - server_growth(s));
}

/* A limit of this machine is where the search for the most ends; anything else went wrong. */
static bool are_enough_connected(const struct summary *s)
{
	if (s->connected == 0)
		return false;
	if (s->plan->connections != PLAN_UNLIMITED)
		return s->connected == s->plan->connections;
	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		if (s->failed[cause] > 0 && !cause_is_limit((enum cause)cause))
			return false;
	return cause_is_limit(s->stopped_by);
}

bool summary_is_good(const struct summary *s)
{
	if (s->is_interrupted || s->workers_lost > 0 || !are_enough_connected(s))
		return false;
	for (int outcome = OUTCOME_GOOD + 1; outcome < OUTCOME_COUNT; outcome++)
		if (s->outcomes[outcome] > 0)
			return false;
	for (uint32_t i = 0; i < s->size_count; i++)
		if (s->sizes[i].messages == 0)
			return false;
	return s->verified >= s->sample;
}
