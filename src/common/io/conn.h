/* One non-blocking stream socket in a worker's loop: readiness by uv_poll, reading and writing
 * by ourselves, with no system call that is not needed. Level-triggered: interest in reading is
 * dropped only while the owner cannot take bytes, interest in writing is there only after EAGAIN.
 * Both are dropped lazily, so that a short pause costs no system call.
 *
 * Life: conn_open, conn_close; the memory is the owner's again in on_closed (libuv's rule). */
#ifndef IO_CONN_H
#define IO_CONN_H

#include "common/io/worker.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct conn;

struct conn_ops {
	void (*readable)(struct conn *c); /* bytes, an end or an error: read */
	void (*writable)(struct conn *c); /* only while conn_want_write; it is one-shot */
	void (*closed)(struct conn *c);	  /* the memory is the owner's again */
	/* The connection is reset, while reading is off: said once. NULL: nobody wants to know
	 * before it reads. */
	void (*lost)(struct conn *c);
};

struct conn {
	uv_poll_t poll;
	struct worker *worker;
	const struct conn_ops *ops;
	void *user;
	int fd;	    /* -1 once closed */
	int events; /* armed now; may be more than is wanted */
	bool wants_read, wants_write;
	bool has_ended; /* the peer's end or reset has been seen: nothing to watch for but bytes */
};

/* Takes the descriptor (made non-blocking, close-on-exec; TCP_NODELAY set when it is TCP).
 * Reads are off. 0 or negative errno; on failure the descriptor is closed and `closed` is not
 * called. */
int conn_open_take(struct conn *c, struct worker *w, int fd, const struct conn_ops *ops,
		   void *user);

void conn_want_read(struct conn *c, bool wants);
void conn_want_write(struct conn *c);

/* read(2): bytes, 0 at the end, -EAGAIN, or a negative errno. */
ssize_t conn_read(struct conn *c, void *buf, size_t size);
/* writev(2) with MSG_NOSIGNAL: bytes, -EAGAIN, or a negative errno. */
ssize_t conn_writev(struct conn *c, const struct iovec *iov, int count);

/* SO_RCVLOWAT: readable only when so many bytes are there, or the end. */
void conn_set_low_water(struct conn *c, uint32_t bytes);

/* SO_LINGER {1, 0}: from now on any close, also by the death of the process, is a reset. */
void conn_set_abortive(struct conn *c, bool is_abortive);

/* No more will be written: the peer sees the end of the stream (half-close). */
void conn_shutdown(struct conn *c);

/* No callback but `closed` follows. Closing twice does no harm. */
void conn_close(struct conn *c);

/* ---- addresses ---- */

/* "10.0.0.1:80", "[::1]:80". */
#define ADDRESS_TEXT_MAX 64
void sockaddr_text(const struct sockaddr_storage *a, char ret_text[ADDRESS_TEXT_MAX]);

#endif
