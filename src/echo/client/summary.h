/* What came out, added up over all workers. */
#ifndef ECHO_SUMMARY_H
#define ECHO_SUMMARY_H

#include "common/base/clock.h"
#include "echo/client/board.h"
#include "echo/client/memory.h"

struct summary {
	const struct plan *plan;
	uint32_t workers, workers_lost;
	bool is_interrupted;

	uint64_t connected;
	uint64_t failed[CAUSE_COUNT];
	uint64_t connect_ns;   /* from the first to the last */
	enum cause stopped_by; /* CAUSE_NONE: all were tried */

	uint64_t held, held_ns;
	uint64_t sample; /* to be verified */
	uint64_t verified;
	uint64_t outcomes[OUTCOME_COUNT];
	struct wrong wrong;
	bool has_memory;
	struct memory before, after;

	uint32_t size_count; /* that were begun */
	uint64_t measured_ns[PLAN_SIZES_MAX];
	struct measured sizes[PLAN_SIZES_MAX];
};

/* Adds what stands on the board now, and after each size. */
void summary_add_results(struct summary *s, struct board *b);
uint64_t summary_failed(const struct summary *s);
double summary_connect_rate(const struct summary *s);
/* Growth for each connection, in bytes; negative when it is not known, or something else came and
 * went meanwhile and it makes no sense. The kernel's is what the machine lost and neither side has;
 * the server's is in it when the server is not known. */
double summary_client_bytes(const struct summary *s);
double summary_server_bytes(const struct summary *s);
double summary_kernel_bytes(const struct summary *s);
double summary_message_rate(const struct summary *s, uint32_t size_index);
/* All that was asked was done, and every byte was right. */
bool summary_is_good(const struct summary *s);

static inline double seconds(uint64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

#endif
