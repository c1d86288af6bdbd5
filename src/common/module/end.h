/* One end of a tunnel in a worker: the protocol core (flow/tunnel) wired to subflows on one side
 * and to clients or servers (edges) on the other. Ingress and egress share it; what differs
 * between them is in end_ops. */
#ifndef MODULE_END_H
#define MODULE_END_H

#include "common/conf/conf.h"
#include "common/flow/tunnel.h"
#include "common/io/alarm.h"
#include "common/io/subflow.h"
#include "common/io/worker.h"

#include <jansson.h>

struct end;

struct end_ops {
	/* Egress: a session begins; connect it (edge_connect). */
	void (*opened)(struct end *e, struct session *s, const struct open_info *info);
	/* tunnel_ops.drained. */
	void (*drained)(struct end *e, struct path *p);
	/* The other end closed the tunnel, or no path came for too long. The end is idle; the
	 * owner may call end_close, later. */
	void (*closed)(struct end *e);
	/* end_close is done: the memory is the owner's. */
	void (*freed)(struct end *e);
};

struct end {
	const struct end_ops *ops;
	void *user;
	struct worker *worker;
	const struct conf *conf;
	struct tunnel *tunnel;
	struct deferred run; /* tunnel_run at the end of the turn */
	struct alarm alarm;  /* tunnel_next_run_at */
	struct list edges;   /* struct edge */
	struct list closing; /* of them, those that wait to be reset */
	bool is_closing;
};

/* One worker's share of the process's memory and sessions. */
void end_budget_init(struct budget *b, const struct conf *conf);

void end_init(struct end *e, struct worker *w, const struct conf *conf,
	      const struct tunnel_config *config, struct budget *budget, const struct end_ops *ops,
	      void *user);

/* The core's parameters that come from the configuration, and a seed; the caller adds id, role and
 * scheduler. */
struct tunnel_config end_tunnel_config(const struct conf *conf);

/* A subflow that is up joins; NULL when there are too many. path->user is the subflow. */
struct path *end_add_path(struct end *e, struct subflow *sf, uint32_t weight, uint32_t payload_max);
/* What its subflow says. One whose path did not join (NULL) is not listened to: a frame on it is
 * -EPROTO. */
void end_remove_path(struct end *e, struct path *p);
int end_receive(struct end *e, struct path *p, const struct frame *head, const uint8_t *control,
		const struct slice *data);
void end_blocked(struct path *p);
void end_room(struct end *e, struct path *p);
void end_stalled(struct end *e, struct path *p, bool is_stalled);
/* tunnel_drain_path. */
void end_drain_path(struct end *e, struct path *p);

/* Runs the tunnel at the end of this turn. */
void end_wake(struct end *e);

/* tunnel_renew. */
void end_renew(struct end *e, const struct tunnel_id *id, enum reset_code code, const char *reason);

/* Ends the sessions that are left and frees the tunnel. The other end learns of it only by
 * tunnel_send_close; that, and then closing the subflows, is the caller's to do before this. */
void end_close(struct end *e);

/* ---- for people (docs/control.md) ---- */
json_t *end_sessions_json(const struct end *e, size_t limit);
/* First copies sent on all of its paths. */
uint64_t end_sent_bytes(const struct end *e);
json_t *end_path_json(const struct end *e, const struct path *p);

#endif
