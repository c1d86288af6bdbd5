/* What traffic_generator writes at the front of each payload, and traffic_sink reads: 32 bytes,
 * network order. */
#ifndef MCAST_STAMP_H
#define MCAST_STAMP_H

#include <stddef.h>
#include <stdint.h>

#define STAMP_BYTES 32

struct stamp {
	uint32_t stream;   /* number of the stream in this run, from 0 */
	uint32_t run;	   /* random per generator: an old run's packets are not counted */
	uint64_t sequence; /* from 0, without holes */
	uint64_t sent_ns;  /* CLOCK_REALTIME, so that hosts with one clock can be compared */
};

void stamp_encode(const struct stamp *s, uint8_t out[STAMP_BYTES]);
/* 0, or -EPROTO when it is none. */
int stamp_decode(const uint8_t *in, size_t len, struct stamp *ret);

#endif
