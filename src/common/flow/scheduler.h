/* Which path carries the next bytes. A scheduler sees the paths and says one, or none (wait); it
 * keeps its accounts in struct path and has no state of its own. docs/schedulers.md tells what
 * each is for, its formula and where it comes from. */
#ifndef FLOW_SCHEDULER_H
#define FLOW_SCHEDULER_H

#include "common/flow/path.h"

#include <stddef.h>

/* What there is to send. */
struct demand {
	bool is_bulk;	       /* there is more behind these bytes */
	bool is_short;	       /* so little came before them that it may end with these bytes */
	uint64_t window_bytes; /* what the session may still send before credit stops it */
};

struct scheduler {
	const char *name;
	/* A path with room, or NULL. */
	struct path *(*pick)(struct path *const *paths, size_t count, const struct demand *d);
	bool is_redundant; /* every other path with room carries the bytes too */
	bool is_exclusive; /* control frames keep to the path of the bytes */
};

/* NULL-terminated, the default first. */
extern const char *const scheduler_names[];

const struct scheduler *scheduler_find(const char *name); /* NULL: there is none */

/* First copies of `len` bytes went out on `p`. */
void scheduler_on_sent(struct path *p, uint32_t len);

/* A path joins, or its weight has changed: it starts level with the others. */
void scheduler_on_join(struct path *const *paths, size_t count, struct path *p);

/* The path for control frames: where they arrive first, of those that are not blocked; among
 * equals the one that was heard last, which is known to live. NULL: none. */
struct path *scheduler_pick_control(const struct scheduler *s, struct path *const *paths,
				    size_t count);

#endif
