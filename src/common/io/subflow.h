/* One TCP connection between two neighbouring modules, speaking frames: handshake (HELLO,
 * HELLO_ACK, AUTH), PING/PONG, batching of what goes out, cutting of what comes in. Used alike by
 * tunnel ends and by proxies; it knows nothing of sessions.
 *
 * Sending: subflow_send appends to a bounded output (headers and control payloads are copied,
 * DATA is referenced); it is written at SUBFLOW_BATCH_BYTES or at the end of the loop turn
 * (TURN_FLUSH). When the kernel takes no more, `is_blocked` until it does; then ops->room.
 * Reading: never waits for output; subflow_pause stops it (proxies). */
#ifndef IO_SUBFLOW_H
#define IO_SUBFLOW_H

#include "common/base/chunk.h"
#include "common/base/limits.h"
#include "common/io/conn.h"
#include "common/io/worker.h"
#include "common/wire/deframer.h"
#include "common/wire/frame.h"

struct subflow;

struct subflow_ops {
	/* Dialled: HELLO_ACK came and (with a key) was proven. Accepted: the dialler was proven,
	 * or at once in subflow_answer without a key. Frames may be sent from now on. */
	void (*up)(struct subflow *s, const struct hello_ack *ack);
	/* Any frame but HELLO, HELLO_ACK, AUTH, PING, PONG. Returns 0, or -EPROTO and the
	 * subflow is closed with a log line. */
	int (*frame)(struct subflow *s, const struct frame *head, const uint8_t *control,
		     const struct slice *data);
	void (*room)(struct subflow *s); /* no longer blocked */
	/* Bytes are outstanding and none of them arrives, for two RTTs and STALL_SLACK_MS; or they
	 * arrive again. From when it is connected on, also before it is up. NULL: not told. */
	void (*stalled)(struct subflow *s, bool is_stalled);
	/* It became blocked at the end of the turn, not inside subflow_send. NULL: not told. */
	void (*blocked)(struct subflow *s);
	/* It is dead, or never came up; `why` in words. The subflow frees itself after the call;
	 * not called after subflow_close. */
	void (*lost)(struct subflow *s, const char *why);
};

/* A secret shared by all modules of a chain; len 0: none. Borrowed by the subflows. */
struct subflow_key {
	uint8_t bytes[KEY_BYTES_MAX];
	size_t len;
};

/* `hello` is copied; its nonce is filled in here. The connect may take `wait_ms` and the
 * HELLO_ACK HELLO_ACK_WAIT_MS. Aborts when memory is gone, as subflow_accept_take does. */
struct subflow *subflow_dial(struct worker *w, const char *host, uint16_t port, uint32_t wait_ms,
			     const struct hello *hello, const struct subflow_key *key,
			     const struct subflow_ops *ops, void *user);

/* Takes over an accepted descriptor whose HELLO was read (acceptor.h) and nothing behind it. It
 * may wait for its answer for as long as the dialler is there. NULL when it cannot be polled: the
 * descriptor is closed then. */
struct subflow *subflow_accept_take(struct worker *w, int fd, const struct hello *hello,
				    const struct subflow_key *key, const struct subflow_ops *ops,
				    void *user);
/* Accepted: sends the HELLO_ACK (nonce and MAC are filled in here). Once. */
void subflow_answer(struct subflow *s, const struct hello_ack *ack);

/* One frame: `control` are head->len bytes and copied, or `data` is the payload, of which a
 * reference is taken if it is kept. Only while it is up and not blocked. Returns false when it
 * is blocked from now on. Never calls back. */
bool subflow_send(struct subflow *s, const struct frame *head, const uint8_t *control,
		  const struct slice *data);
/* No `frame` comes while paused, but for the rest of a batch that is being handed out. */
void subflow_pause(struct subflow *s, bool is_paused);

/* Ends it: orderly (what is in the output is still written, then FIN, then the peer's end is
 * awaited, all for at most SUBFLOW_LINGER_MS) or at once. No callback follows; the memory is the
 * subflow's own to free. Allowed inside any callback; does nothing inside `lost`. */
void subflow_close(struct subflow *s, bool is_orderly);
/* An orderly close after DRAIN went both ways: the peer reads until our end, so it is awaited for
 * SUBFLOW_FINISH_MS, and nothing that is under way is lost to haste. */
void subflow_finish(struct subflow *s);

/* A relay's subflow: DATA frames are handed out whole where that costs no copy, so that what comes
 * in small segments does not go out as small frames. Right after dialling or accepting. */
void subflow_want_whole(struct subflow *s);

bool subflow_is_stalled(const struct subflow *s);
/* Once it has failed: how many of the last bytes it was given have certainly not arrived. */
size_t subflow_undelivered_bytes(const struct subflow *s);
/* Inside `lost`: the peer has closed in order, between two frames, and no write had failed. */
bool subflow_has_ended(const struct subflow *s);

void *subflow_user(const struct subflow *s);
const char *subflow_peer(const struct subflow *s);	/* "10.0.0.1:7000" or "name:7000" */
uint64_t subflow_hop_rtt_us(const struct subflow *s);	/* by PING, smoothed; 0: not yet */
uint64_t subflow_hop_least_us(const struct subflow *s); /* the least of them: without stalls */
/* TCP's own least RTT, as of the last look (io/stall.h); 0: not yet. */
uint64_t subflow_base_rtt_us(const struct subflow *s);

#endif
