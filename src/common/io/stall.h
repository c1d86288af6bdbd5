/* Is a TCP connection stalled: has it sent bytes that nobody acknowledges? A decision over what
 * the kernel says of it (tcp(7), TCP_INFO), looked at every SUBFLOW_LOOK_MS while something is
 * outstanding. No sockets here and no clock. */
#ifndef IO_STALL_H
#define IO_STALL_H

#include <stdbool.h>
#include <stdint.h>

/* One look. Times are as of now. */
struct stall_look {
	uint64_t now_us;
	uint32_t unacked_segments; /* sent and neither acknowledged nor reported as received */
	uint32_t unsent_bytes;	   /* waiting in the kernel */
	bool is_window_closed;	   /* the peer takes nothing more: it is slow, not gone */
	uint32_t delivered;	   /* segments that have arrived, ever; only its changes count */
	uint32_t sent_ms;	   /* since the last segment with data was sent */
	uint32_t heard_ms;	   /* since the last acknowledgement came */
	uint32_t rtt_us;	   /* smoothed, */
	uint32_t base_rtt_us;	   /* and the least; only for whoever asks the subflow */
};

struct stall {
	bool is_stalled;
	uint32_t delivered;
	uint64_t since_us; /* nothing has been acknowledged since then, and something could be */
};

/* Bytes are sent and nothing was outstanding before. */
void stall_begin(struct stall *s, uint64_t now_us);

/* Updates is_stalled. Returns when to look again, in ms; 0: not before stall_begin, because
 * nothing is outstanding. */
uint32_t stall_look(struct stall *s, const struct stall_look *look);

#endif
