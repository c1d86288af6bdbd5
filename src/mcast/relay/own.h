/* Is a packet one that this relay has sent itself? Rules in a loop are refused, but nobody sees
 * from the rules that two networks are joined somewhere, and the ttl begins anew with each round.
 */
#ifndef RELAY_OWN_H
#define RELAY_OWN_H

#include "mcast/common/board.h"
#include "mcast/relay/net.h"

#include <stdbool.h>

struct own {
	struct board *board;
	uint32_t seat;
	uint64_t looked_ns;	   /* when `addresses` were read */
	struct ifaddrs *addresses; /* of this host; owned */
};

void own_init(struct own *o, struct board *board, uint32_t seat);
void own_done(struct own *o);

/* A sender's socket, which is bound: all workers are to know its port, which is returned; 0 when
 * there is no room for it. */
uint16_t own_enter(struct own *o, int fd);
void own_leave(struct own *o, uint16_t port);

/* By its source: an address of this host, and the port of a sender of any worker. */
bool own_is_source(struct own *o, const union address *from, uint64_t now_ns);

#endif
