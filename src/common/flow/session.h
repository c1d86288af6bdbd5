/* One client's TCP stream at one end of a tunnel: sending side, receiving side, and how it began
 * and ends. Owned by its tunnel; the environment keeps a pointer until `ended` is called or it
 * calls session_reset. */
#ifndef FLOW_SESSION_H
#define FLOW_SESSION_H

#include "common/base/list.h"
#include "common/flow/reorder.h"
#include "common/flow/sendq.h"
#include "common/wire/frame.h"

struct tunnel;

enum session_open {
	SESSION_OPEN_QUEUED,  /* initiator: OPEN must go out (again) */
	SESSION_OPEN_SENT,    /* initiator: no ACK for this id yet */
	SESSION_OPEN_AWAITED, /* acceptor: DATA came before its OPEN */
	SESSION_OPEN_DONE,
};

enum session_reset_state {
	SESSION_RESET_NONE,
	SESSION_RESET_QUEUED,	/* ours must go out (again) */
	SESSION_RESET_SENT,	/* ours waits for an answer */
	SESSION_RESET_RECEIVED, /* theirs: deliver what came before it, then answer */
};

enum session_source {
	SESSION_SOURCE_IDLE,  /* nothing to pull until session_source_ready */
	SESSION_SOURCE_READY, /* may be pulled */
	SESSION_SOURCE_ENDED, /* FIN was sent, or nobody is there any more */
};

struct session {
	struct tunnel *tunnel;
	uint64_t id;
	void *user; /* the environment's; NULL once it has let go */
	enum session_open open;
	enum session_reset_state reset;
	enum session_source source;
	struct open_info *open_info; /* until OPEN is acknowledged; owned */
	struct path *open_path;	     /* that carried it, while SENT */
	bool was_opened;	     /* the other end may know of it */

	struct list all_node;	  /* tunnel.sessions_all */
	struct list ready_node;	  /* tunnel.ready: has new bytes to send and may */
	struct list resend_node;  /* tunnel.resends: has lost segments */
	struct list control_node; /* tunnel.controls: OPEN or RESET to send */
	struct list ack_node;	  /* tunnel.acks or tunnel.acks_now */
	struct list timed_node;	  /* tunnel.timed: waits for something with a limit */
	struct list watch_node;	  /* tunnel.watched: a gap, or bytes on a slow path */
	struct list done_node;	  /* tunnel.done: both streams have ended, or RESET was answered */

	struct sendq out;
	int64_t deficit_bytes; /* fair sharing among sessions (deficit round robin) */
	bool pull_was_full;    /* the last pull got all it asked for: there is more */
	uint64_t burst_at;     /* out.next when there was no more, and all was acknowledged */

	struct reorder in;
	uint64_t granted;	/* credit announced, or about to be */
	uint64_t announced;	/* credit in the last ACK that was sent */
	uint32_t window_bytes;	/* wanted beyond what is consumed */
	size_t reserved_bytes;	/* counted in budget.granted_bytes */
	uint64_t tune_offset;	/* consumed when the last look at the window was taken, */
	uint64_t tune_us;	/* and when that was */
	uint32_t unacked_bytes; /* received since the last ACK */
	uint64_t ack_due_us;
	uint64_t newest_us; /* when the newest byte to acknowledge came */
	uint64_t ack_paths; /* bit i: an ACK went out on path i */
	bool fin_is_delivered;

	uint32_t reset_code;
	char reset_reason[128];
	uint64_t reset_final; /* ours: end of our direction; theirs: deliver below */
	uint64_t timer_us;    /* what timed_node waits for */
	uint64_t timer_step_us;
	uint64_t lost_us;	       /* when session_source_lost was called; 0: it was not */
	uint64_t opened_us, active_us; /* for people */
};

/* ---- for the environment ---- */

/* The client or server has bytes, or its end, or an error: ops->pull may be called again. */
void session_source_ready(struct session *s);

/* Its connection is reset, with bytes in it that have not been pulled. They are still taken as
 * long as there is credit for them, at the longest for reset_wait. */
void session_source_lost(struct session *s, uint64_t now_us);

/* Bytes in order that wait for the client or server; see reorder_peek. */
int session_peek(const struct session *s, struct iovec *ret_iov, int count);

/* `len` of them were written to it. */
void session_consume(struct session *s, uint64_t len, uint64_t now_us);

/* True when all is delivered and the peer's stream has ended: pass the end on (half-close), then
 * say so. The session may end (ops->ended) within the next tunnel_run. */
bool session_is_at_end(const struct session *s);
void session_end_delivered(struct session *s);

/* Ends it with an error: the environment lets go (its `user` is not touched again, `ended` is
 * not called). What was sent before is still delivered by the other end, unless the code
 * is immediate (reset_code_is_immediate). */
void session_reset(struct session *s, enum reset_code code, const char *reason, uint64_t now_us);

const char *session_state_name(const struct session *s);

#endif
