/* What the files of a subflow share: subflow.c has its life, subflow_in.c what comes in,
 * subflow_out.c what goes out, subflow_stall.c whether it arrives, subflow_hello.c who the peer is.
 * For these and their test only. */
#ifndef IO_SUBFLOW_INTERNAL_H
#define IO_SUBFLOW_INTERNAL_H

#include "common/base/clock.h"
#include "common/base/hostport.h"
#include "common/io/dialer.h"
#include "common/io/stall.h"
#include "common/io/subflow.h"

enum subflow_state {
	SUBFLOW_DIALLING,   /* there is no socket yet */
	SUBFLOW_HELLO_SENT, /* dialled: waits for HELLO_ACK */
	SUBFLOW_UNANSWERED, /* accepted: waits for subflow_answer */
	SUBFLOW_AUTH_WAIT,  /* accepted and answered: waits for AUTH */
	SUBFLOW_UP,
	SUBFLOW_ENDING, /* orderly close: writes what is left, then FIN, then awaits the peer's */
	SUBFLOW_CLOSED, /* waits for libuv to let go of its memory */
};

/* What waits to be written, in order. A part is in bytes[] or in a chunk. Nothing is added while
 * the socket is blocked, so that it empties from the front and starts again from 0. */
struct subflow_out {
	uint32_t first, count; /* parts[first .. count) are left */
	uint32_t fill;	       /* of bytes[] */
	size_t left_bytes;
	struct iovec parts[SUBFLOW_PARTS_MAX];
	struct chunk *chunks[SUBFLOW_PARTS_MAX]; /* one reference each; NULL: in bytes[] */
	uint8_t bytes[SUBFLOW_OUT_BYTES];
};

struct subflow {
	struct worker *worker;
	const struct subflow_ops *ops;
	void *user;
	const struct subflow_key *key; /* NULL: none */
	enum subflow_state state;
	struct dialer *dialer; /* while SUBFLOW_DIALLING */
	struct conn conn;
	uv_timer_t timer; /* the tick; while ending, the end of patience */
	uv_timer_t look;  /* for a stall, while bytes are outstanding */
	struct stall stall;
	unsigned int held;    /* by the close callbacks of timers and conn: it is freed at 0 */
	uint64_t deadline_us; /* of the handshake; NEVER_US when nothing is awaited */

	struct hello hello;   /* as it was sent or came */
	struct hello_ack ack; /* so too, from SUBFLOW_AUTH_WAIT or SUBFLOW_UP on */

	struct deframer in;
	struct slice begun; /* of a frame whose rest has not come; holds its chunk's reference */
	uint32_t low_water; /* SO_RCVLOWAT as it is set */
	bool is_paused;
	uint64_t in_bytes;

	struct subflow_out out;
	struct deferred flush;
	bool is_blocked;
	bool has_ended; /* the peer has closed, after a whole frame */
	int out_err;	/* negative errno: writing failed; reading will find the end */
	bool has_pong;	/* to be sent with the next flush; the newest PING wins */
	uint64_t pong_clock;
	uint64_t out_bytes;
	size_t undelivered_bytes; /* when reading failed */

	uint32_t ping_every_ms, silence_max_ms; /* limits.h; shorter in tests */
	uint32_t silent_ms; /* time that we were ready to read and nothing came, by the tick */
	uint64_t hop_rtt_us, hop_least_us;
	uint64_t base_rtt_us;
	char peer[HOSTPORT_TEXT_MAX];
};

/* ---- subflow.c ---- */

/* Lets go of everything, without a word to the owner. */
void subflow_let_go(struct subflow *s);
/* It is dead: lets go, and tells the owner. */
void subflow_lose(struct subflow *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same after a log line: the peer is at fault, not the network. */
void subflow_refuse(struct subflow *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sends PINGs and looks at deadlines every ping_every_ms. */
void subflow_start_tick(struct subflow *s);

/* ---- subflow_in.c ---- */

void subflow_on_readable(struct conn *c);

/* ---- subflow_out.c ---- */

/* Appends a frame, to be written at the end of the turn. Not while blocked; there is room, as
 * long as whoever puts frames other than our own few asks subflow_out_is_due afterwards. */
void subflow_out_put(struct subflow *s, const struct frame *head, const uint8_t *control,
		     const struct slice *data);
bool subflow_out_is_due(const struct subflow_out *out);
/* Writes what is there; sets is_blocked by the outcome. */
void subflow_out_write(struct subflow *s);
void subflow_out_drop(struct subflow *s);
void subflow_on_flush(struct deferred *flush);
void subflow_on_writable(struct conn *c);

/* ---- subflow_stall.c ---- */

/* Something was written: looks for a stall until all of it has arrived. */
void subflow_watch(struct subflow *s);

/* ---- subflow_hello.c ---- */

void subflow_send_hello(struct subflow *s);
void subflow_take_hello_ack(struct subflow *s, const struct frame *head, const uint8_t *payload);
void subflow_take_auth(struct subflow *s, const struct frame *head, const uint8_t *payload);

#endif
