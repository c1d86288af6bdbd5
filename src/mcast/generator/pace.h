/* When each burst is due: absolute times, so that nothing adds up.
 *
 * A turn is one burst of one stream; streams take turns in their order. Spread, the turns of a
 * round are even in time; together, those of a round are due at once. No clock: `now` goes in. */
#ifndef GENERATOR_PACE_H
#define GENERATOR_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_RATE_MAX 1000000u /* packets a second of one stream; see pace.c */

struct pace {
	uint64_t start_ns; /* turn 0 */
	uint64_t rate_pps; /* of each stream */
	uint32_t streams, burst;
	bool is_together;
};

uint64_t pace_due_ns(const struct pace *p, uint64_t turn);
static inline uint32_t pace_stream(const struct pace *p, uint64_t turn)
{
	return (uint32_t)(turn % p->streams);
}
/* Packets of the turn where each stream has `count` of them in all, the last burst maybe shorter;
 * 0: it is over. `count` 0: without end. */
uint32_t pace_packets(const struct pace *p, uint64_t turn, uint64_t count);
/* What `turn` is late beyond what is made up for (PACE_BEHIND_MAX_NS) is given up: all that follows
 * is due later by so much. Returns how much. */
uint64_t pace_slip_ns(struct pace *p, uint64_t turn, uint64_t now_ns);
/* When to wake up for what is due at `due_ns`, having woken up at `woken_ns`: then, but not sooner
 * than PACE_GRAIN_NS after the last time, so that at high rates several go out at once. */
uint64_t pace_wake_ns(uint64_t due_ns, uint64_t woken_ns);
/* From one turn to the next one's time: the last packet that is sent stands for so long. */
uint64_t pace_gap_ns(const struct pace *p);

/* A process that did not get the processor makes up for so much at once; a heap of more would
 * measure the receiver's buffers. */
#define PACE_BEHIND_MAX_NS 50000000u
/* A wake-up costs as much as sending several packets: at 150,000 a second fifteen share one, which
 * takes 0.47 of a processor; with half of this it was 0.60. */
#define PACE_GRAIN_NS 100000u

#endif
