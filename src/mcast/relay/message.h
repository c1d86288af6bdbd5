/* What supervisor and workers say to each other: one JSON object with descriptors, as one packet of
 * a SOCK_SEQPACKET socket. Text, so that a new supervisor understands an older worker.
 *
 * To a worker:
 *   {"do": "own", "slot": 7, "rule": {...}, "inputs": 1} + its input sockets (bit i of "inputs":
 *        that of input i is there; none while it waits for an interface); again for a slot that
 *        it has: other outputs, or other sockets
 *   {"do": "release", "slot": 7}  it stops reading, sends what it has read, answers, and keeps the
 *        sockets, so that they live when the supervisor dies before another worker has them
 *   {"do": "forget", "slot": 7}   they are in other hands, or the rule is gone
 *   {"do": "end"}                 all was released: it ends
 * From a worker:
 *   {"say": "hello", "format": 1, "pid": 4711, "index": 0, "seat": 3} + the board; first of all
 *   {"say": "have", "slot": 7, "rule": {...}, "inputs": 1, "released": false} + its sockets; after
 *        hello, each
 *   {"say": "complete"}           that was all
 *   {"say": "released", "slot": 7} */
#ifndef RELAY_MESSAGE_H
#define RELAY_MESSAGE_H

#include "mcast/core/rule.h"

#include <jansson.h>
#include <stdint.h>

#define MESSAGE_FORMAT 1
#define MESSAGE_FDS_MAX RULE_INPUTS_MAX

struct message {
	json_t *body;
	int fds[MESSAGE_FDS_MAX]; /* owned; message_done closes those that are not -1 */
	size_t fd_count;
};

/* A channel's end is made ready for messages of the largest size. */
void message_prepare(int fd);

/* 0, or a negative errno: -EAGAIN when there is no room now, -EPIPE or -ECONNRESET when nobody
 * listens any more. `text` is the JSON. */
int message_send(int fd, const char *text, const int *fds, size_t fd_count);

/* 0 with a message; -EAGAIN; -ECONNRESET at the end; -EPROTO when it was none (and is dropped). */
int message_receive(int fd, struct message *ret);
void message_done(struct message *m);

/* A whole number at `key` of the body; 0 when there is none. */
uint32_t message_number(const struct message *m, const char *key);

#endif
