/* Connections of the model uring. Each has one request under way, to receive or to send, or waits
 * for a buffer. A request needs one of uring_space(); each call here for one connection takes one
 * at the most. */
#ifndef SERVER_URING_CONNECTION_H
#define SERVER_URING_CONNECTION_H

#include "echo/server/uring.h"

/* Begins to serve an accepted socket, which is taken also when that fails. */
void connection_begin_take(struct uring *u, int fd);
void connection_on_receive(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe);
void connection_on_send(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe);
/* Lets those that wait for a buffer receive, as many as there are buffers and space. */
void connection_feed(struct uring *u);

#endif
