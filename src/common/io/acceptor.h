/* Listeners for subflows, on the main loop: accepts, reads exactly the HELLO from the raw
 * descriptor, and hands both on, so that the tunnel's worker can take the connection into its
 * own loop. What does not say HELLO in time, or says something else, is closed with one log
 * line (rate-limited). */
#ifndef IO_ACCEPTOR_H
#define IO_ACCEPTOR_H

#include "common/wire/frame.h"

#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct acceptor;

/* `fd` and its HELLO; the descriptor is the callee's. */
typedef void acceptor_hello(void *user, int fd, const struct hello *hello,
			    const struct sockaddr_storage *from);

/* Accepts on a duplicate of `listen_fd`. `name` ("10.0.0.1:7000") is copied; `*rejected`
 * (borrowed) counts what was closed. */
int acceptor_open(uv_loop_t *loop, int listen_fd, const char *name, uint32_t hello_wait_ms,
		  acceptor_hello *on_hello, void *user, uint64_t *rejected, struct acceptor **ret);
void acceptor_close(struct acceptor *a); /* frees it, by way of the loop; NULL is fine */

#endif
