/* The rings of all interfaces, as the supervisor has them: one for each interface, queue, and seat
 * that has had a stream of it, and the maps that say which stream goes to which (ring.h, steer.h).
 * Where packets come by UDP sockets alone there is none of this: NULL, for which all does nothing.
 */
#ifndef RELAY_RINGS_H
#define RELAY_RINGS_H

#include "mcast/common/board.h"
#include "mcast/relay/message.h"

#include <stdbool.h>

struct rings;
struct stream;
struct process;
struct supervisor;

struct ring_kind;

/* NULL for NULL. */
struct rings *rings_new(struct supervisor *s, const struct ring_kind *kind);
/* NULL: none. */
const struct ring_kind *rings_kind(const struct rings *r);
/* After all was adopted that there is. 0, or a negative errno with the reason. */
int rings_open(struct rings *r, char ret_why[WHY_BYTES_MAX]);
void rings_done(struct rings *r);

/* What a worker of an earlier supervisor has. */
void rings_adopt(struct rings *r, struct message *m);
/* A new process is told of all rings; and, when it knows its streams, to begin. */
void rings_tell(struct rings *r, struct process *p);
void rings_begin(struct rings *r, struct process *p);
/* Those of interfaces that are gone are no more. */
void rings_look(struct rings *r);
/* True when there are rings now that could not be had before: streams are to be looked at. */
bool rings_try_again(struct rings *r);

/* A process is about to be told of a stream: it gets the rings that it needs. */
void rings_reach(struct rings *r, const struct stream *st, struct process *p);
/* What a ring has comes to the joined sockets, too. */
bool rings_are_copies(const struct rings *r);
/* An input of it has rings. */
bool rings_carry(const struct rings *r, const struct stream *st);
/* It has them; not so when the interface was down, and this kernel wants it up (before 6.12), or
 * when it has none of this kind: then packets come by the sockets that have joined, if they are
 * given any (ring.h, is_copy). */
bool rings_have(const struct rings *r, const struct stream *st, const struct process *p);
/* It was told, and what comes for the stream goes there from now on. */
void rings_point(struct rings *r, const struct stream *st, const struct process *p);
/* So it is, for all inputs that are open. */
bool rings_is_pointed(const struct rings *r, const struct stream *st, const struct process *p);
/* What comes for this input goes nowhere. */
void rings_unpoint(struct rings *r, const struct stream *st, unsigned input);

/* Adds what those of a seat have counted, or (BOARD_WORKERS_MAX) all. */
void rings_add(const struct rings *r, uint32_t seat, struct board_ring *sum);

#endif
