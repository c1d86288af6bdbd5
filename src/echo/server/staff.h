/* The worker processes of all slots: forked, replaced when they die, joined by more when those of
 * a slot are full. A slot is one listening socket, which its workers share, so that no connection
 * is lost that waits while one of them does not accept. */
#ifndef SERVER_STAFF_H
#define SERVER_STAFF_H

#include "echo/common/counters.h"
#include "echo/server/supervisor.h"
#include "echo/server/worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A worker's place, which its successor takes over with the counters. */
struct post {
	pid_t pid;   /* 0: nobody */
	int channel; /* -1: none */
	unsigned slot;
	bool is_full;
	uint64_t due_us; /* when somebody is to take it; NEVER_US: somebody has */
};

struct slot {
	int listener;
	uint64_t replaced_us; /* the last time that a worker of it was replaced */
};

struct staff {
	const struct model *model;
	int private_fd;	       /* of the supervisor: workers close it */
	unsigned slots_wanted; /* that will be added */
	bool grows;	       /* full slots get more workers */
	bool has_said_full;    /* all that may be are full: it is said once */
	int said_err;	       /* why the last attempt to fork failed, so that it is logged once */
	struct counters *counters; /* of each post, in memory that all share */
	struct slot slots[WORKERS_LIMIT];
	struct post posts[WORKERS_LIMIT];
	unsigned slot_count, post_count;
};

/* No slots yet, but so many are to be added; -ENOMEM. */
int staff_init(struct staff *s, const struct model *model, int private_fd, unsigned slots_wanted,
	       bool grows);
/* A slot for this listening socket, which is taken, and its first worker; a negative errno when
 * there is none. */
int staff_add_slot_take(struct staff *s, int listener);

/* Reads what workers said; `i` is a post's index. */
void staff_on_news(struct staff *s, unsigned i);
/* Collects processes that have ended. */
void staff_on_child(struct staff *s);
/* Forks those who are due. */
void staff_fill(struct staff *s, uint64_t now_us);
/* When staff_fill() is to be called next. */
uint64_t staff_next_us(const struct staff *s);
/* How many workers there are. */
unsigned staff_size(const struct staff *s);
/* Kills all and waits until they and their children are gone. */
void staff_end(struct staff *s);

#endif
