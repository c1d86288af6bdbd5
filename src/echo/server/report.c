/* Printing: see report.h. Each line is flushed, since somebody may be waiting for it at the other
 * end of a pipe, and since workers are forked that must not print it again. */
#include "echo/server/report.h"

#include "common/base/hostport.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

void report_ready(const char *model, const union address *a, bool is_json)
{
	char host[NI_MAXHOST] = "?", text[HOSTPORT_TEXT_MAX];
	uint16_t port = address_port(a);

	getnameinfo(&a->any, address_len(a), host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	hostport_text(host, port, text);
	if (is_json)
		printf("{\"event\":\"ready\",\"host\":\"%s\",\"port\":%u,\"model\":\"%s\",\"pid\":%"
		       "d}\n",
		       host, (unsigned)port, model, (int)getpid());
	else
		printf("ready %s\n", text);
	fflush(stdout);
}

static uint64_t sum(const struct counters *counters, unsigned count, enum counter which)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < count; i++)
		total += counters_get(&counters[i], which);
	return total;
}

static void print_json(const struct report *r, const struct counters *counters, unsigned count)
{
	printf("{\"event\":\"counters\",\"model\":\"%s\",\"workers\":%u,\"seconds\":%.3f", r->model,
	       r->workers, r->seconds);
	if (r->memory_bytes)
		printf(",\"memory_bytes\":%zu", r->memory_bytes);
	for (unsigned c = 0; c < COUNTER_COUNT; c++)
		printf(",\"%s\":%" PRIu64, counter_name(c), sum(counters, count, c));
	puts("}");
}

static void print_text(const struct report *r, const struct counters *counters, unsigned count)
{
	for (unsigned c = 0; c < COUNTER_COUNT; c++)
		printf("%s%s %" PRIu64, c == 0 ? "" : ", ", counter_name(c),
		       sum(counters, count, c));
	printf(", workers %u, seconds %.3f", r->workers, r->seconds);
	if (r->memory_bytes)
		printf(", memory_bytes %zu", r->memory_bytes);
	putchar('\n');
}

void report_counters(const struct report *r, const struct counters *counters, unsigned count)
{
	if (r->is_json)
		print_json(r, counters, count);
	else
		print_text(r, counters, count);
	fflush(stdout);
}
