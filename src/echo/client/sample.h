/* Which of many are looked at more closely: a part of them, spread evenly. */
#ifndef ECHO_SAMPLE_H
#define ECHO_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* The sample is to have `sample` of all `count`, at most all: how many are among the first `index`?
 */
static inline uint64_t sample_before(uint64_t index, uint64_t count, uint64_t sample)
{
	return count == 0 ? 0 : index * sample / count;
}

static inline bool sample_has(uint64_t index, uint64_t count, uint64_t sample)
{
	return sample_before(index + 1, count, sample) > sample_before(index, count, sample);
}

#endif
