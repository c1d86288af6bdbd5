/* One connection of the comm socket: collects a request, hands it to the daemon, writes the answer,
 * and only then looks at the next. The dialects (control_byte, control_json, control_http) only
 * translate. Private to control*.c and their test. */
#ifndef IO_CONTROL_CONN_H
#define IO_CONTROL_CONN_H

#include "common/base/limits.h"
#include "common/base/line_limit.h"
#include "common/base/list.h"
#include "common/io/conn.h"
#include "common/io/control.h"
#include "common/io/control_http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#define CONTROL_PATH_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)

struct control_conn;

/* The listener, or the stream of one connection, over whatever transport. */
union control_socket {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

/* What TCP and a unix socket differ in. */
struct control_transport {
	bool speaks_bytes; /* the one-byte dialect is there */
	void (*init)(uv_loop_t *loop, union control_socket *ret);
	int (*open)(union control_socket *s, int fd);
	/* Names the peer. False: it may give no commands; that was logged. */
	bool (*admit)(struct control_conn *conn);
	/* The listener is closed: what is left of it in the world is removed. */
	void (*remove)(struct control *c);
};

extern const struct control_transport control_tcp, control_unix;

/* Of a listening unix socket. */
struct control_file {
	char path[CONTROL_PATH_MAX];
	dev_t device; /* and inode: ours, and not one that somebody has put in its place */
	ino_t inode;
	struct line_limit lines; /* about peers that may not command */
};

/* Binds a unix socket and sets its mode; it does not listen yet. 0 and a non-blocking
 * descriptor, or a negative errno and one clear line. */
int control_unix_bind(const char *path, int *ret_fd, struct control_file *ret_file,
		      char ret_why[WHY_BYTES_MAX]);

struct control {
	const struct control_transport *transport;
	union control_socket listener;
	struct control_file file; /* of control_unix */
	uv_timer_t deadline;	  /* runs from control_close on */
	uint32_t parts;		  /* handles and connections that are still to be closed */
	control_handle *handle;
	void *user;
	bool has_own_metrics; /* control_own_metrics */
	uint64_t wait_ms;     /* CONTROL_WAIT_MS; a test is less patient */
	struct list conns;    /* struct control_conn.node, the longest at rest first */
	uint32_t conn_count;
	bool is_closing;
	void (*on_closed)(void *user);
	void *closed_user;
};

/* Once it is closing and no connection is left, nothing is waited for. */
void control_settle(struct control *c);

/* Counts one part down; the last one ends and frees `c`. */
void control_part_gone(struct control *c);

struct control_request {
	const char *op; /* static, or inside args */
	json_t *args;
};

enum control_conn_state {
	CONTROL_CONN_READING,
	CONTROL_CONN_ASKED, /* the daemon has the request; nothing is read */
	CONTROL_CONN_WRITING,
	/* The last answer is out and our end closed. What still comes is dropped for a moment: a
	 * close with unread input is a reset, and would take the answer away from the peer. */
	CONTROL_CONN_LINGERING,
	CONTROL_CONN_CLOSING,
};

/* A dialect leaves the state READING by one of control_conn_ask, _send and _end. */
struct control_dialect {
	bool may_rest; /* between requests, for CONTROL_IDLE_MS instead of wait_ms */
	/* Takes the next request off conn->in; does nothing when it is not there whole. */
	void (*take)(struct control_conn *conn);
	/* The daemon's reply to what was asked last, borrowed. */
	void (*answer)(struct control_conn *conn, json_t *reply);
	/* The input is at fault and the rest of it worthless: says so and ends the connection. */
	void (*refuse)(struct control_conn *conn, const char *why);
};

extern const struct control_dialect control_byte, control_json, control_http;

struct control_conn {
	struct control *control;
	struct list node;
	union control_socket socket;
	uv_timer_t timer; /* what `timer` means follows from the state */
	unsigned handles_open;
	enum control_conn_state state;
	const struct control_dialect *dialect; /* NULL before the first byte */
	bool has_eof;			       /* the peer will send no more; it may still read */
	bool is_late_timed; /* the timer runs from the first byte of the request in `in` */
	bool ends_after_write;
	bool has_no_reply; /* one-byte dialect: close was asked */
	struct control_request request;
	uv_write_t write;
	uv_shutdown_t shutdown;
	char *out; /* of `write` */
	struct control_http http;
	char peer[ADDRESS_TEXT_MAX];
	/* The input not taken yet is [in_start, in_end); the dialect has looked at `scanned` bytes
	 * of it. One request is never larger. */
	size_t in_start, in_end, scanned;
	char in[CONTROL_LINE_MAX];
};

static inline const char *control_conn_in(const struct control_conn *conn)
{
	return conn->in + conn->in_start;
}

static inline size_t control_conn_in_len(const struct control_conn *conn)
{
	return conn->in_end - conn->in_start;
}

/* Accepts what waits at the listener. */
void control_conn_accept(struct control *c);

/* Closes at once, whatever the state; `why` is logged unless it is NULL. */
void control_conn_close(struct control_conn *conn, const char *why);

/* ---- for the dialects ---- */

/* `len` bytes of the input are done with. */
void control_conn_consume(struct control_conn *conn, size_t len);

/* `op` is static or inside `args_take` (an object). The dialect's answer() may be called before
 * this returns. */
void control_conn_ask(struct control_conn *conn, const char *op, json_t *args_take);

/* Writes malloc'd bytes; then comes the next request, or the end. NULL: memory was short. */
void control_conn_send(struct control_conn *conn, char *out_take, size_t len, bool then_end);

/* Ends in order: what was written reaches the peer. */
void control_conn_end(struct control_conn *conn);

#endif
