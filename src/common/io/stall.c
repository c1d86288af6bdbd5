/* The decision: see stall.h. What counts is progress, bytes of ours that arrived, and not that
 * something was heard: on a path that is dead in one direction the peer may talk on. A path is
 * given two RTTs and the time that a delayed acknowledgement takes, never less than what TCP
 * itself needs to know better. */
#include "common/io/stall.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

void stall_begin(struct stall *s, uint64_t now_us)
{
	s->since_us = now_us;
}

/* When what is outstanding became so, or was last reduced. The kernel does not say when the oldest
 * byte was sent: that was not after the last one. */
static uint64_t newest_change_us(const struct stall_look *look)
{
	uint64_t ago_us = min_u64(look->sent_ms, look->heard_ms) * US_PER_MS;

	return ago_us < look->now_us ? look->now_us - ago_us : 0;
}

uint32_t stall_look(struct stall *s, const struct stall_look *look)
{
	uint64_t patience_us = 2ull * look->rtt_us + STALL_SLACK_MS * US_PER_MS;
	bool has_progress = look->delivered != s->delivered;
	/* Unsent and nothing under way: the kernel cannot send, as its interface is down. */
	bool is_waiting = look->unacked_segments > 0 || look->unsent_bytes > 0;
	uint64_t limit_us;

	s->delivered = look->delivered;
	if (!is_waiting || look->is_window_closed) {
		s->is_stalled = false;
		s->since_us = look->now_us;
		return is_waiting ? SUBFLOW_LOOK_MS : 0;
	}
	if (has_progress) {
		s->is_stalled = false;
		if (newest_change_us(look) > s->since_us)
			s->since_us = newest_change_us(look);
	}
	limit_us = s->since_us + patience_us;
	if (look->now_us >= limit_us)
		s->is_stalled = true;
	if (s->is_stalled)
		return SUBFLOW_LOOK_MS;
	return (uint32_t)min_u64((limit_us - look->now_us) / US_PER_MS + 1, SUBFLOW_LOOK_MS);
}
