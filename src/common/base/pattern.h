/* Bytes that a receiver can check without having seen them sent: any number of streams, each of
 * known bytes at every offset. */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* A prime next to the size of a large frame: a stream that skips, repeats or swaps whole frames
 * does not fit the pattern any more. Small enough to stay in the L2 cache. */
#define PATTERN_BYTES 65537u
/* What can be taken or compared in one piece. */
#define PATTERN_PIECE_MAX 65536u

/* Twice in a row, so that a piece is contiguous wherever it starts. */
struct pattern {
	uint8_t bytes[2 * PATTERN_BYTES];
};

/* The same bytes in every process. */
void pattern_init(struct pattern *p);
/* PATTERN_PIECE_MAX bytes of stream `seed` from `offset` on. Streams of neighbouring seeds differ.
 */
const uint8_t *pattern_at(const struct pattern *p, uint64_t seed, uint64_t offset);

#endif
