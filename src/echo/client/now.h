/* Time in nanoseconds of CLOCK_MONOTONIC: the same clock in all processes. */
#ifndef ECHO_NOW_H
#define ECHO_NOW_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define NEVER_NS UINT64_MAX

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
