/* A timer of microseconds in a worker's loop, by timerfd(2). Unlike a uv_timer it does not bound
 * every sleep of the loop: a timer that is set once a millisecond costs one system call then, not
 * a hardware timer programmed at each of the many sleeps between. */
#ifndef IO_ALARM_H
#define IO_ALARM_H

#include "common/io/worker.h"

struct alarm {
	uv_poll_t poll;
	int fd;
	uint64_t at_us; /* when it is set for; NEVER_US: it is not */
	void (*rings)(struct alarm *a);
	void (*closed)(struct alarm *a);
};

/* Aborts when the process has no descriptor left for it. */
void alarm_open(struct alarm *a, struct worker *w, void (*rings)(struct alarm *a));

/* Rings at `at_us` (CLOCK_MONOTONIC), at once when that is past; NEVER_US does nothing. It is
 * only ever moved nearer: one ring too early costs less than moving it each time. */
void alarm_set(struct alarm *a, uint64_t at_us);

/* `closed` is called when the memory is the owner's again. */
void alarm_close(struct alarm *a, void (*closed)(struct alarm *a));

#endif
