/* What supervisor and workers say to each other: one JSON object with descriptors, as one packet of
 * a SOCK_SEQPACKET socket. Text, so that a new supervisor understands an older worker.
 *
 * To a worker:
 *   {"do": "own", "slot": 7, "rule": {...}, "inputs": 1, "interfaces": [3]} + its input sockets
 *        (bit i of "inputs": that of input i is there, on the interface of that index; none while
 *        it waits for an interface); again for a slot that it has: other outputs, or other sockets
 *   {"do": "expect", ...}         so too; but another worker has packets of it, and until "own" it
 *        keeps those that come
 *   {"do": "release", "slot": 7}  it stops reading, sends what it has read, answers, and keeps the
 *        sockets, so that they live when the supervisor dies before another worker has them
 *   {"do": "forget", "slot": 7}   they are in other hands, or the rule is gone
 *   {"do": "ring", "id": 2, "interface": 3, "member": 1, "seat": 0, "blocks": 256} + the packet
 *        socket, and the maps (steer.h): it reads the ring of its seat, and keeps all
 *   {"do": "drop-ring", "id": 2}  its interface is gone
 *   {"do": "begin"}               it was told of all streams that have packets in its rings
 *   {"do": "end"}                 all was released: it ends
 * From a worker:
 *   {"say": "hello", "format": 1, "pid": 4711, "index": 0, "seat": 3, "rx": "udp"} + the board;
 *        first of all
 *   {"say": "ring", ...}          as it was told; after hello, each
 *   {"say": "have", "slot": 7, "rule": {...}, "inputs": 1, "released": false, "expected": false} +
 *        its sockets; then each
 *   {"say": "complete"}           that was all
 *   {"say": "released", "slot": 7} */
#ifndef RELAY_MESSAGE_H
#define RELAY_MESSAGE_H

#include "mcast/core/rule.h"

#include <jansson.h>
#include <stdint.h>

#define MESSAGE_FORMAT 1
#define MESSAGE_FDS_MAX 3

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

/* The descriptors of a rule's inputs become the caller's: of those that "inputs" names, each at its
 * input's place; -1 at the others. */
void message_take_inputs(struct message *m, int ret_fds[RULE_INPUTS_MAX]);

#endif
