/* Which packet of an interface goes to which of its packet sockets: one BPF map from what a packet
 * is to the number of its stream's input, one from there to the number of a socket in the
 * interface's fanout group, and the program that looks there (bpf(2), packet(7):
 * PACKET_FANOUT_EBPF).
 *
 * The kernel asks the program once for each packet: each one goes to one socket only. A stream that
 * moves changes one number, in its place; entries of the first map are made and removed, and a
 * packet that is asking meanwhile could find another's there. Packets that nobody wants go to the
 * first socket, STEER_NOBODY, which drops all. The maps serve all interfaces; sockets keep them and
 * the program alive. */
#ifndef RELAY_STEER_H
#define RELAY_STEER_H

#include "mcast/core/rule.h"

#define STEER_NOBODY 0u

struct steer {
	int inputs_fd, members_fd; /* -1: none */
};

/* For inputs with numbers below `count`: 0, or a negative errno. steer_done takes -1s, too. */
int steer_open(struct steer *s, unsigned count);
void steer_done(struct steer *s);
/* The program for these maps: the descriptor, or a negative errno. */
int steer_program_new(const struct steer *s);

/* What comes for this input, whose number is `number`, goes to socket `member` of the interface's
 * group from now on; 0 or a negative errno. */
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

#endif
