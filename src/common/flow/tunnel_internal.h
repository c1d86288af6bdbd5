/* What the files of the tunnel core share: sessions as seen from inside, and the parts of
 * tunnel_run. */
#ifndef FLOW_TUNNEL_INTERNAL_H
#define FLOW_TUNNEL_INTERNAL_H

#include "common/flow/tunnel.h"

/* ---- session.c ---- */
struct session *session_new(struct tunnel *t, uint64_t id, enum session_open open, void *user,
			    uint64_t now_us);
/* Unlinks and frees it; the id counts as finished from now on. */
void session_free(struct session *s);
/* Initiator: the other end has not shown yet that it knows it. */
static inline bool session_is_opening(const struct session *s)
{
	return s->open == SESSION_OPEN_QUEUED || s->open == SESSION_OPEN_SENT;
}
/* OPEN goes out again. */
void session_repeat_open(struct session *s);
/* First credit, both ways, once it is known. */
void session_start_credit(struct session *s);
/* Puts it into or out of tunnel.ready by what it has and may send. */
void session_update_ready(struct session *s, uint64_t now_us);
void session_update_resend(struct session *s);
void session_owe_ack(struct session *s, bool at_once, uint64_t now_us);
/* Raises the credit as far as window and memory allow; call it right before an ACK goes out. */
void session_grant(struct session *s);
/* Links it to tunnel.done when nothing is left but the last ACK. */
void session_check_done(struct session *s);
void session_set_timer(struct session *s, uint64_t at_us, uint64_t step_us);
/* As session_reset, on the core's own account: the environment is told by ops->ended. */
void session_fail(struct session *s, enum reset_code code, const char *reason, uint64_t now_us);
/* The peer's RESET is done with: tells the environment and queues the answer. */
void session_end_by_peer(struct session *s);
/* Time is up for what it waits for. */
void session_on_timer(struct session *s, uint64_t now_us);

/* ---- tunnel_out.c ---- */
void send_controls(struct tunnel *t);
void send_acks(struct tunnel *t, uint64_t now_us);
void send_resends(struct tunnel *t, uint64_t now_us);
void send_new(struct tunnel *t, uint64_t now_us);
/* A RESET that answers a frame for a finished id: at once, on `p` if it may, or not at all; then
 * false. */
bool send_stray_answer(struct tunnel *t, struct path *p, uint64_t id, uint64_t now_us);

/* One more copy of a segment goes out on `p`. */
void send_copy(struct session *s, struct segment *seg, struct path *p, uint64_t now_us);

/* ---- watch.c ---- */
/* The next look is at most so far away: after whatever brings a deadline nearer. */
void watch_soon(struct tunnel *t, uint64_t wait_ms, uint64_t now_us);
/* `s` has a gap at the other end, or bytes on a path that is slow. */
void watch_session(struct session *s, uint64_t now_us);
/* Finds stalled paths and late bytes. */
void watch_run(struct tunnel *t, uint64_t now_us);
void watch_stall(struct tunnel *t, struct path *p, const char *why, uint64_t now_us);
/* `p` carries nothing new from now on. Parked paths are taken back when no other is left: one that
 * is slow is better than none. */
void watch_leaves(struct tunnel *t, const struct path *p);
/* Room that nothing new could use goes to bytes that are slow elsewhere. */
void watch_use_idle(struct tunnel *t, uint64_t now_us);

/* ---- probe.c ---- */
/* Sends those that are due. */
void probe_run(struct tunnel *t, uint64_t now_us);
uint64_t probe_next_at(const struct tunnel *t, uint64_t now_us);
/* It may be back: asks with the next run. */
void probe_soon(struct path *p);
void probe_answer(struct tunnel *t, struct path *from, uint64_t token);
void probe_on_back(struct tunnel *t, uint64_t token, uint64_t now_us);

/* ---- tunnel.c ---- */
/* What may still arrive, by path: sets tunnel.alive. */
void tunnel_update_alive(struct tunnel *t);
/* Frees paths that were closed in order and have nothing under way any more. */
void tunnel_free_gone(struct tunnel *t);
/* It carries new bytes again, level with the others: nobody owes it what it did not carry. */
void tunnel_take_back(struct tunnel *t, struct path *p);
bool tunnel_has_other_active(const struct tunnel *t, const struct path *p);
/* What `p` carries, and nobody else does, goes out again. */
void tunnel_lose_segments(struct tunnel *t, struct path *p, uint64_t now_us);
/* What `p` should have brought besides DATA goes out again: OPEN, RESET, the current ACKs. */
void tunnel_repeat_controls(struct tunnel *t, const struct path *p, uint64_t now_us);
/* The id is never used again. */
void tunnel_finish_id(struct tunnel *t, uint64_t id);
/* What `p` carries may be lost, although it is up (a proxy behind it says so) or no longer. */
void tunnel_path_lost_bytes(struct tunnel *t, struct path *p, uint64_t now_us);
void tunnel_closed_by_peer(struct tunnel *t);

#endif
