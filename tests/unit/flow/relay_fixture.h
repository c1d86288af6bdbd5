/* What the tests of the relay share: a relay between four hops that only count and keep what they
 * are given, and what may happen to them. Each event is followed by a run, as in a program. */
#ifndef TESTS_UNIT_FLOW_RELAY_FIXTURE_H
#define TESTS_UNIT_FLOW_RELAY_FIXTURE_H

#include "common/flow/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SENT_MAX 4096

struct sent {
	struct frame head;
	uint64_t event;
	uint8_t first; /* byte of the payload */
};

/* What the environment knows of a hop. */
struct end {
	struct sent sent[SENT_MAX];
	size_t count;
	size_t room; /* frames until it is blocked */
	bool is_paused, is_closed;
	bool has_drain;	  /* DRAIN was sent on it */
	bool is_answered; /* ops->drained */
	struct hop *hop;
};

struct fixture {
	struct chunk_pool chunks;
	struct slab items;
	struct relay *relay;
	struct end ends[4]; /* two up, two down */
};

enum { UP0, UP1, DOWN0, DOWN1 };

/* Of a test; whatever it left queued must have been given back. */
int set_up(void **state);
int tear_down(void **state);

/* A hop comes, with room for so many frames. */
void add(struct fixture *f, int which, uint32_t weight, size_t room);
void add_all(struct fixture *f, size_t room);
void give_room(struct fixture *f, int which, size_t room);
void lose(struct fixture *f, int which);
void retire(struct fixture *f, int which);
void stall(struct fixture *f, int which, bool is_stalled);

/* `len` bytes of DATA arrive, all of them `fill`; no run follows. */
void data(struct fixture *f, int from, uint64_t offset, uint32_t len, uint8_t fill);
/* The same of a control frame. */
void control(struct fixture *f, int from, uint8_t type, uint32_t len, uint8_t fill);
/* PATH_LOST arrives. */
void event(struct fixture *f, int from, uint64_t id);
void event_of(struct fixture *f, int from, enum frame_type type, uint64_t id);
/* DRAIN arrives. */
void drain(struct fixture *f, int which);

/* The frame that was sent there at this place. */
void expect_event(const struct end *e, size_t index, uint8_t type);

#endif
