/* Which sequence numbers of a stream came: each once, twice, late, or never.
 *
 * Exact as long as a packet is not overtaken by more than ACCOUNT_WINDOW others: a bit for each of
 * so many numbers below the highest one. Of what comes later than that nobody knows whether it came
 * before; it is counted by itself. Numbers are at most PAYLOAD_SEQUENCE_MAX. */
#ifndef SINK_ACCOUNT_H
#define SINK_ACCOUNT_H

#include "common/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_WINDOW TRAFFIC_WINDOW_PACKETS

struct account {
	uint64_t first, next; /* lowest that came; highest that came, and 1. Both 0: none */
	uint64_t unique, duplicated;
	uint64_t reordered; /* of the unique ones: came behind a higher number (RFC 4737) */
	uint64_t too_late;
	uint64_t bits[ACCOUNT_WINDOW / 64];
};

void account_init(struct account *a);
void account_take(struct account *a, uint64_t sequence);
/* `expect`: how many were sent, from 0; or 0 when that is not known: then those before the first
 * one and after the last one are not counted. */
uint64_t account_lost(const struct account *a, uint64_t expect);
/* All numbers have come or were overtaken. */
static inline bool account_is_over(const struct account *a, uint64_t expect)
{
	return a->next >= expect;
}
/* Each of `expect` came once, and nothing else. */
bool account_is_exact(const struct account *a, uint64_t expect);

#endif
