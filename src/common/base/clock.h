/* Time, in microseconds or nanoseconds of CLOCK_MONOTONIC: the same clock in all processes.
 * Protocol code never calls it: it is handed `now`. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define US_PER_MS 1000ull
#define US_PER_S 1000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define NEVER_US UINT64_MAX /* the answer to "call me at" when there is nothing to do */
#define NEVER_NS UINT64_MAX

uint64_t clock_now_us(void);
uint64_t clock_now_ns(void);

#endif
