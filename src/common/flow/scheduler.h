/* Which path carries the next bytes. A scheduler sees the paths and says one, or none (wait);
 * it keeps its accounts in struct path and has no state of its own.
 *
 *   weighted  stride scheduling (Waldspurger and Weihl 1995) over the weights: exact shares, so a
 *             path that is full holds the others back after a bounded lead.
 *   adaptive  among the paths that would deliver about earliest (base RTT/2 + in flight/rate) the
 *             one that is furthest behind its weight; work-conserving. */
#ifndef FLOW_SCHEDULER_H
#define FLOW_SCHEDULER_H

#include "common/flow/path.h"

#include <stddef.h>

struct scheduler {
	const char *name;
	/* A path with room, or NULL. `is_bulk`: there is more behind these bytes, so that using a
	 * slow path gains more than it delays. */
	struct path *(*pick)(struct path *const *paths, size_t count, bool is_bulk);
};

/* NULL-terminated, the default first. */
extern const char *const scheduler_names[];

const struct scheduler *scheduler_find(const char *name); /* NULL: there is none */

/* First copies of `len` bytes went out on `p`. */
void scheduler_on_sent(struct path *p, uint32_t len);

/* A path joins: it starts level with the others. */
void scheduler_on_join(struct path *const *paths, size_t count, struct path *p);

/* The path for control frames: where they arrive first, of those that are not blocked; or NULL. */
struct path *scheduler_pick_control(struct path *const *paths, size_t count);

#endif
