/* Which packet of an interface goes to which of its rings: one BPF map from what a packet is to the
 * number of its stream's input, one from there to the number of a ring ("member"), and the program
 * that looks there (bpf(2)). It is of one of two kinds:
 *
 * - STEER_FANOUT: packet sockets of one fanout group (packet(7): PACKET_FANOUT_EBPF), whose numbers
 *   the kernel gives in the order of joining. Packets that nobody wants go to the first one,
 *   STEER_NOBODY, which drops all.
 * - STEER_XDP: the interface's driver asks, before there is anything else of a packet. A third map
 *   has the sockets, by member and by queue. Packets that nobody wants, fragments, and what is
 *   longer than STEER_XDP_BYTES_MAX go the kernel's own way.
 *
 * The kernel asks the program once for each packet: each one goes to one socket only. A stream that
 * moves changes one number, in its place; entries of the first map are made and removed, and a
 * packet that is asking meanwhile could find another's there. The maps serve all interfaces;
 * sockets keep them and the program alive. */
#ifndef RELAY_STEER_H
#define RELAY_STEER_H

#include "mcast/core/rule.h"

#include <stddef.h>

#define STEER_NOBODY 0u
/* With the link's header: what a frame of an XDP socket has room for (ring_xdp.c). */
#define STEER_XDP_BYTES_MAX 1792u
#define STEER_QUEUES_MAX 16u

enum steer_kind { STEER_FANOUT, STEER_XDP };

#define STEER_FDS_MAX 3u

struct steer {
	enum steer_kind kind;
	int fds[STEER_FDS_MAX]; /* of the maps; -1: none */
};

/* No maps yet. */
void steer_init(struct steer *s);
/* How many maps it has, as descriptors. */
static inline size_t steer_fd_count(enum steer_kind kind)
{
	return kind == STEER_XDP ? 3 : 2;
}

/* For inputs and members with numbers below these: 0, or a negative errno. */
int steer_open(struct steer *s, enum steer_kind kind, unsigned inputs, unsigned members);
void steer_done(struct steer *s);
/* The program for these maps: the descriptor, or a negative errno. */
int steer_program_new(const struct steer *s);

/* What comes for this input, whose number is `number`, goes to `member` of the interface from now
 * on; 0 or a negative errno. */
int steer_set(const struct steer *s, const struct rule_input *in, unsigned interface,
	      uint32_t number, uint32_t member);
/* It goes nowhere; unless another number has come in its place. */
void steer_remove(const struct steer *s, const struct rule_input *in, unsigned interface,
		  uint32_t number);
/* To which socket it goes; 0 with `ret_member`, or -ENOENT. */
int steer_get(const struct steer *s, const struct rule_input *in, unsigned interface,
	      uint32_t number, uint32_t *ret_member);

/* Returns when each packet that the map was asked for before has reached its socket. */
void steer_settle(void);

/* ---- STEER_XDP ---- */

/* This socket is member `member` at that queue of its interface, until it is closed. */
int steer_enter(const struct steer *s, uint32_t member, uint32_t queue, int socket_fd);
/* The driver of this interface asks the program, as long as the descriptor that this returns is
 * open somewhere; or a negative errno: -EBUSY when another program is there, -EOPNOTSUPP when it
 * cannot. */
int steer_attach(int program_fd, unsigned interface);

#endif
