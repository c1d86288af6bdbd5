/* The workers, as their supervisor sees them: hired, given orders, waited for, dismissed. Signals
 * are waited for here too. */
#ifndef ECHO_CREW_H
#define ECHO_CREW_H

#include "echo/client/worker.h"

struct member {
	pid_t pid;
	int channel;	      /* -1 when it is gone */
	bool is_working;      /* an order of it is not yet answered */
	uint32_t quota;	      /* connections that it was asked for */
	struct answer answer; /* the last one */
};

struct crew {
	const struct plan *plan;
	const struct pattern *pattern;
	struct board *board;
	int signal_fd;
	uint64_t refresh_ns; /* when added addresses are due */
	struct member members[PLAN_WORKERS_MAX];
	uint32_t count, working;
	uint32_t lost; /* ended without being told to */
	bool is_interrupted;
};

/* 0 or a negative errno. Blocks SIGINT and SIGTERM. */
int crew_open(struct crew *c, const struct plan *plan, const struct pattern *pattern);
/* Dismisses all that are still there, takes away the addresses that were added. */
void crew_close(struct crew *c);

/* One more; there must be room. 0 or a negative errno. */
int crew_hire(struct crew *c);
void crew_order(struct crew *c, struct member *m, enum stage stage, uint32_t count);
/* The same to all that are there. */
void crew_order_all(struct crew *c, enum stage stage, uint32_t count);
/* Returns when an answer has come, a worker is gone, a signal came, or at `until_ns`. */
void crew_wait(struct crew *c, uint64_t until_ns);
/* Until no order is unanswered, or a signal has come. */
void crew_wait_all(struct crew *c);
/* Until then, or a signal. */
void crew_sleep(struct crew *c, uint64_t until_ns);
/* Tells all to end, and waits for that. */
void crew_dismiss(struct crew *c);

#endif
