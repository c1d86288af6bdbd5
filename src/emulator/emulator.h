/* The emulator: all links, one thread, one loop. While packets come it sleeps from turn to turn
 * and is not woken by each; when none come it waits for the next. */
#ifndef EMULATOR_EMULATOR_H
#define EMULATOR_EMULATOR_H

#include "common/base/list.h"
#include "emulator/cable.h"

#include <stdbool.h>
#include <stdint.h>

/* What is done when a descriptor of the loop is ready. Its owner embeds it. */
struct watch {
	void (*on_ready)(struct watch *w);
};

struct emulator {
	int epoll_fd;
	struct list cables;
	size_t cable_count;
	struct inbox *inbox;
	uint64_t seed;	     /* of the next link */
	size_t received_max; /* the largest batch of this turn */
	bool has_delivered;  /* in this turn */
	bool is_ending;
};

/* 0 or a negative errno; `done` also after a failure. */
int emulator_init(struct emulator *e, uint64_t seed);
void emulator_done(struct emulator *e);

/* Until it is readable, or has room. The owner unwatches before it closes the descriptor or frees
 * the watch. */
int emulator_watch(struct emulator *e, int fd, struct watch *w);
int emulator_watch_room(struct emulator *e, int fd, struct watch *w);
void emulator_unwatch(struct emulator *e, int fd);

/* Joins two interfaces. -errno with one line in `ret_why`. */
int emulator_join(struct emulator *e, const char *name, const char ends[2][END_NAME_MAX],
		  char ret_why[WHY_BYTES_MAX]);
/* NULL when there is none of that name. */
struct cable *emulator_find(const struct emulator *e, const char *name);

/* Until `is_ending`. 0 or a negative errno. */
int emulator_run(struct emulator *e);

/* CLOCK_MONOTONIC */
uint64_t emulator_clock_ns(void);

#endif
