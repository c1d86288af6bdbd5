/* What of the news from an exchange is counted: that which comes between the two instants of the
 * board. One meter belongs to one task and one message size. */
#ifndef ECHO_METER_H
#define ECHO_METER_H

#include "echo/client/board.h"
#include "echo/client/exchange.h"

struct meter {
	const struct board *board;
	struct measured *into; /* NULL: nothing is measured, and there is no end */
};

static inline bool meter_is_over(const struct meter *m, uint64_t now_ns)
{
	return m->into && now_ns >= atomic_load_explicit(&m->board->end_ns, memory_order_relaxed);
}

static inline void meter_add(struct meter *m, const struct news *news, uint64_t now_ns)
{
	if (!m->into || meter_is_over(m, now_ns) ||
	    now_ns < atomic_load_explicit(&m->board->begin_ns, memory_order_relaxed))
		return;
	m->into->messages += news->messages;
	if (news->has_latency)
		hist_add(&m->into->latency_ns, news->latency_ns);
}

#endif
