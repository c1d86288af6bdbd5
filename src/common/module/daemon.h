/* What the three modules have in common as programs: command line, main loop, workers, comm
 * socket, signals, and an orderly end.
 *
 * The main thread owns listeners and the comm socket; each worker owns its tunnels. An operation
 * from the comm socket becomes one task per worker; when all are done, it is answered once. */
#ifndef MODULE_DAEMON_H
#define MODULE_DAEMON_H

#include "common/conf/conf.h"
#include "common/io/control.h"
#include "common/io/subflow.h"
#include "common/io/worker.h"

#include <jansson.h>

struct daemon;
struct task;

/* Runs on the worker's thread and leads to exactly one task_done there, now or later. */
typedef void task_run(struct worker *w, struct task *task);
/* Runs on the main thread when every worker is done: their results, added up by json_add. */
typedef void tasks_done(struct daemon *d, json_t *result, void *user);

const json_t *task_args(const struct task *task); /* an object; not to be changed */
void task_done(struct task *task, json_t *result_take);

/* Adds `from` to `into`: objects by member, whole numbers added, arrays joined, true and false by
 * "and"; what `into` lacks is taken over. */
void json_add(json_t *into, const json_t *from);

struct daemon_ops {
	enum module module;
	const char *program;
	/* Before any thread runs: binds what it listens on. Exit code: 0, 1, or 2 when the
	 * configuration cannot be carried out; one line was logged. */
	int (*start)(struct daemon *d);
	/* Makes w->user and everything below it; its thread does not run yet. */
	void (*worker_open)(struct daemon *d, struct worker *w);
	/* Main thread: no new connections from now on. */
	void (*stop_listening)(struct daemon *d);
	/* The operations of every module: what docs/control.md says, of one worker. */
	/* health: {"ways": how many ways end to end, "degraded": [...]} */
	task_run *health, *stats, *paths, *sessions, *reset;
	/* Done when nothing is under way any more, or at `drain_ms` in its arguments. */
	task_run *drain;
	/* Closes every handle of the worker (also ends a pending drain), then worker_stop. */
	task_run *stop;
	/* After the worker's thread has ended: frees w->user. */
	void (*worker_freed)(struct worker *w);
	/* Changes: each leads to one reply. NULL: not supported by this module. */
	control_handle *update_topo_pre, *update_topo, *abort_topo;
	control_handle *set_weight, *add_path, *remove_path;
	/* {"scheduler": a known name}, of one worker. NULL: it has none. */
	task_run *set_scheduler;
};

enum daemon_state { DAEMON_RUNNING, DAEMON_DRAINING, DAEMON_STOPPING };

struct daemon {
	const struct daemon_ops *ops;
	struct conf conf;
	struct subflow_key key;
	struct worker main; /* the main thread's loop and inbox */
	struct worker *workers;
	struct control *control;
	enum daemon_state state;
	uint64_t start_us;
	uint64_t accepted, rejected; /* subflows; an ingress's workers count their clients */
	uv_signal_t on_term, on_int;
	void *user;
};

/* main() of a module: returns its exit code. */
int daemon_main(const struct daemon_ops *ops, int argc, char **argv, void *user);

/* Runs `run` on every worker. `args` is borrowed (copied); NULL is an empty object. */
void daemon_each(struct daemon *d, task_run *run, const json_t *args, tasks_done *done, void *user);

/* True when the request has been answered, because the workers end and nothing may be posted to
 * them any more (worker.h): for a change whose first step is back, and that would post its second.
 */
bool daemon_refuses(struct daemon *d, struct control_request *req);

/* One of them, for what belongs to this tunnel. */
struct worker *daemon_worker_for(struct daemon *d, const struct tunnel_id *id);

#endif
