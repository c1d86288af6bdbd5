/* A task that is answered later: when what it waits for has come, or its time is up. Its worker
 * looks at once, and every TICK_MS. One at a time. */
#ifndef MODULE_PENDING_H
#define MODULE_PENDING_H

#include "common/module/daemon.h"

/* The task's result, the caller's; or NULL, which is allowed unless `is_late`: not yet. */
typedef json_t *pending_check(void *user, bool is_late);

struct pending {
	struct worker *worker;
	pending_check *check;
	void *user;
	struct task *task; /* NULL: nothing is waited for */
	uint64_t until_us;
	uv_timer_t timer;
};

void pending_open(struct pending *p, struct worker *w, pending_check *check, void *user);
/* The first check comes with the next turn. */
void pending_begin(struct pending *p, struct task *task, uint64_t wait_ms);
/* What is waited for, if anything is, may have come. */
void pending_look(struct pending *p);
/* Its time is up; nothing begins any more. Its memory must outlive the loop's. */
void pending_close(struct pending *p);

#endif
