/* The supervisor: rules, streams, workers, and who asks for what. Each part is in a file of its
 * own; this is what they share. */
#ifndef RELAY_SUPERVISOR_H
#define RELAY_SUPERVISOR_H

#include "common/base/idmap.h"
#include "common/base/list.h"
#include "common/io/control.h"
#include "mcast/common/board.h"
#include "mcast/core/ruleset.h"
#include "mcast/relay/options.h"
#include "mcast/relay/rings.h"
#include "mcast/relay/staff.h"
#include "mcast/relay/stream.h"

#include <uv.h>

/* Deaths of an index's worker in a row, each within DEATH_MS of its start, before the next start
 * waits for DEATH_MS. */
#define DEATHS_MAX 3u
#define DEATH_MS 3000u

struct supervisor {
	const struct options *options;
	uv_loop_t loop;
	struct control *control;
	uv_signal_t signals[3];
	uv_timer_t tick; /* loads, balance, and what could not be done before */
	uv_poll_t links; /* interfaces come and go (rtnetlink) */
	int links_fd;
	uv_timer_t links_settle;
	uv_poll_t rendezvous;
	int rendezvous_fd;
	char rendezvous_path[108];

	struct ruleset *rules;
	struct list streams; /* struct stream.node; also those that are leaving */
	struct idmap by_name;
	struct stream *slots[BOARD_SLOTS_MAX];
	uint32_t slot_hint;
	bool has_unplaced; /* some rule found no slot */
	double mean_pps;   /* of a stream, as last measured */

	struct rings *rings; /* NULL: packets come by UDP sockets */
	uv_timer_t turning;  /* streams that move: supervisor_turn_soon */
	uv_timer_t leaving;  /* supervisor_leave */
	uint64_t leave_ns;   /* when it was asked to */

	struct list processes;
	uint64_t seats;			    /* bit i: seat i is taken */
	uint32_t deaths[BOARD_WORKERS_MAX]; /* by index */
	uint64_t died_ns[BOARD_WORKERS_MAX];

	int board_fd;
	struct board *board;
	uint64_t began_ns;
	uint64_t measured_ns; /* when loads were */
	bool is_adopting;     /* workers of an earlier supervisor may still come */
	bool has_strangers;   /* and some of another version are there */
	int noted_signal;     /* which came while it was adopting; 0: none */
	bool is_ending, is_leaving;
	struct control_request *ending_request; /* who asked for the end, or NULL */
	struct list batches;			/* execute.c */
	uint32_t batch_last;
};

enum exit_code supervisor_run(const struct options *options);

/* All of a batch, or nothing: ruleset_apply, and then streams begin, change and end. */
int supervisor_apply(struct supervisor *s, const struct rule_batch *b, char ret_why[WHY_BYTES_MAX]);
/* What differs between a file and the live rules; `ret_batch` is filled and applied. */
int supervisor_load(struct supervisor *s, const char *path, struct rule_batch *ret_batch,
		    char ret_why[WHY_BYTES_MAX]);

/* Some stream's packets go elsewhere: when none is on the old way any more, those streams hear it
 * (stream_on_turned). */
void supervisor_turn_soon(struct supervisor *s);

/* Ends it and all workers; or, leaving, the supervisor alone. */
void supervisor_end(struct supervisor *s, bool is_leaving);
/* It leaves, as soon as the workers know all that there is; `req` is answered. */
void supervisor_leave(struct supervisor *s, struct control_request *req);
/* It does not, if it was about to: who asked is told why. */
void supervisor_stay(struct supervisor *s, const char *why);
/* Called when a worker's process object is gone. */
void supervisor_check_end(struct supervisor *s);

/* ---- links.c ---- */
int links_watch(struct supervisor *s);
/* Looks at all inputs and rings. */
void links_look(struct supervisor *s);
/* ---- rendezvous.c ---- */
/* `ret_was_left`: an earlier supervisor has left without its workers. */
int rendezvous_open(struct supervisor *s, bool *ret_was_left, char ret_why[WHY_BYTES_MAX]);
/* ---- execute.c ---- */
control_handle execute;
/* Batches that nobody uses any more are closed. */
void execute_tick(struct supervisor *s);
void execute_done(struct supervisor *s);
/* ---- report.c ---- */
/* Adds one stream's counters to a sum. */
void report_add(struct board_stream *sum, const struct board_stream *c);
json_t *report_list(struct supervisor *s, size_t from, size_t count);
json_t *report_stats(struct supervisor *s, const char *name, size_t from, size_t count);
json_t *report_workers(struct supervisor *s);
char *report_metrics(struct supervisor *s); /* malloc'd text */
void report_final(struct supervisor *s);

#endif
