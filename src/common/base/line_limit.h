/* Log lines about what strangers do: REJECT_LINES_MAX a second, and then how many there were
 * beside them. */
#ifndef BASE_LINE_LIMIT_H
#define BASE_LINE_LIMIT_H

#include "common/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct line_limit { /* all 0 at first */
	uint64_t since_ms;
	uint32_t lines, dropped;
};

/* True: one more line may go out. `ret_dropped` lines before it did not, and are to be told of
 * when there are any, whatever this returns. */
static inline bool line_limit_take(struct line_limit *l, uint64_t now_ms, uint32_t *ret_dropped)
{
	*ret_dropped = 0;
	if (now_ms - l->since_ms >= 1000) {
		*ret_dropped = l->dropped;
		*l = (struct line_limit){.since_ms = now_ms};
	}
	if (l->lines < REJECT_LINES_MAX) {
		l->lines++;
		return true;
	}
	l->dropped++;
	return false;
}

#endif
