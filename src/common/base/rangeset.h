/* A set of 64-bit numbers kept as sorted, disjoint, non-adjacent ranges [start, end): the
 * finished session ids of a tunnel. Adding is O(log n) to find and O(n) to shift; ids finish
 * roughly in order, so n stays small. */
#ifndef BASE_RANGESET_H
#define BASE_RANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end; /* end exclusive */
};

struct rangeset {
	struct range *ranges;
	size_t count, capacity;
};

void rangeset_init(struct rangeset *s);
void rangeset_done(struct rangeset *s);
void rangeset_add(struct rangeset *s, uint64_t start, uint64_t end);
bool rangeset_has(const struct rangeset *s, uint64_t value);

#endif
