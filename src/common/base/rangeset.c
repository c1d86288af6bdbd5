/* Sorted ranges in one array: a binary search finds the place, neighbours that touch are merged
 * at once, so that a run of ids finished in order stays a single range. */
#include "common/base/rangeset.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 8u

void rangeset_init(struct rangeset *s)
{
	*s = (struct rangeset){0};
}

void rangeset_done(struct rangeset *s)
{
	if (!s)
		return;
	free(s->ranges);
	rangeset_init(s);
}

/* The first range whose end is at or after `value`: all before it lie below and do not touch. */
static size_t first_reaching(const struct rangeset *s, uint64_t value)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle].end < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert(struct rangeset *s, size_t at, struct range range)
{
	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : CAPACITY_MIN;
		struct range *ranges = reallocarray(s->ranges, capacity, sizeof(*ranges));

		if (!ranges)
			abort();
		s->ranges = ranges;
		s->capacity = capacity;
	}
	memmove(s->ranges + at + 1, s->ranges + at, (s->count - at) * sizeof(range));
	s->ranges[at] = range;
	s->count++;
}

void rangeset_add(struct rangeset *s, uint64_t start, uint64_t end)
{
	size_t first = first_reaching(s, start);
	size_t after = first; /* one past the last range that [start, end) touches */

	if (start >= end)
		return;
	while (after < s->count && s->ranges[after].start <= end)
		after++;
	if (after == first) {
		insert(s, first, (struct range){start, end});
		return;
	}
	if (start < s->ranges[first].start)
		s->ranges[first].start = start;
	if (end < s->ranges[after - 1].end)
		end = s->ranges[after - 1].end;
	s->ranges[first].end = end;
	memmove(s->ranges + first + 1, s->ranges + after, (s->count - after) * sizeof(*s->ranges));
	s->count -= after - first - 1;
}

bool rangeset_has(const struct rangeset *s, uint64_t value)
{
	size_t i = first_reaching(s, value);

	return i < s->count && s->ranges[i].start <= value && value < s->ranges[i].end;
}
