/* What supervisor and workers say to each other: one JSON object with descriptors, as one packet of
 * a SOCK_SEQPACKET socket. Text, so that a new supervisor understands an older worker.
 *
 * To a worker:
 *   {"do": "own", "slot": 7, "rule": {...}, "inputs": 1, "interfaces": [3], "dedup": false} + its
 *        input sockets (bit i of "inputs": that of input i is there, on the interface of that
 *        index; none while it waits for an interface) and, if it has one, the memory of its dedup;
 *        again for a slot that it has: other outputs, or other sockets
 *   {"do": "expect", ...}         so too; but another worker has packets of it, and until "own" it
 *        keeps those that come
 *   {"do": "release", "slot": 7, "ends": false}  it stops reading, sends what it has read, answers,
 * and keeps the sockets, so that they live when the supervisor dies before another worker has them;
 *        "ends": nobody is to have them
 *   {"do": "forget", "slot": 7}   they are in other hands, or the rule is gone
 *   {"do": "ring", "id": 2, "interface": 3, "queue": 0, "member": 1, "seat": 0, "size": 256} +
 *        the maps (steer.h), its socket and, of a founder's, what it has (ring.h): it reads the
 *        rings of its seat, and keeps all
 *   {"do": "drop-ring", "id": 2}  its interface is gone
 *   {"do": "begin"}               it was told of all streams that have packets in its rings
 *   {"do": "end"}                 all was released: it ends
 * From a worker:
 *   {"say": "hello", "format": 2, "pid": 4711, "index": 0, "seat": 3, "rx": "udp"} + the board;
 *        first of all
 *   {"say": "ring", ...}          as it was told; after hello, each
 *   {"say": "have", "slot": 7, "rule": {...}, "inputs": 1, "interfaces": [3], "dedup": false,
 *        "released": false, "expected": false} + the same descriptors; then each
 *   {"say": "complete"}           that was all
 *   {"say": "released", "slot": 7} */
#ifndef RELAY_MESSAGE_H
#define RELAY_MESSAGE_H

#include "mcast/core/rule.h"

#include <jansson.h>
#include <stdint.h>

#define MESSAGE_FORMAT 2
#define MESSAGE_FDS_MAX 6

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

/* What a rule's inputs are received by; -1: it is not there. */
struct message_inputs {
	int fds[RULE_INPUTS_MAX];
	unsigned interfaces[RULE_INPUTS_MAX];
	int dedup_fd;
};

/* Puts it into a message; returns how many descriptors go with it, which stay the caller's. */
size_t message_put_inputs(json_t *body, const struct message_inputs *in,
			  int ret_fds[MESSAGE_FDS_MAX]);
/* The descriptors become the caller's. */
void message_take_inputs(struct message *m, struct message_inputs *ret);

#endif
