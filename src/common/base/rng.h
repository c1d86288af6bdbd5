/* Random numbers: a small seeded generator for simulations and jitter (xoshiro256**, Blackman
 * and Vigna 2018, seeded by splitmix64), and bytes from the kernel for ids and nonces. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_u64(struct rng *rng);
/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* Uniform in [0, 1). */
double rng_unit(struct rng *rng);

/* getrandom(2); aborts when the kernel has none. */
void random_bytes(void *ret_bytes, size_t len);

#endif
