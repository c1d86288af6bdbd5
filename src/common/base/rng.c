/* xoshiro256** (Blackman, Vigna: "Scrambled Linear Pseudorandom Number Generators", 2018) for what
 * must repeat by its seed, and getrandom(2) for what nobody may guess. */
#include "common/base/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* One step of splitmix64: spreads a seed as small as 0 or 1 over all the state's bits. */
static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void rng_init(struct rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		rng->s[i] = splitmix(&seed);
}

static uint64_t rotate_left(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

uint64_t rng_u64(struct rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	uint64_t v, partial;

	assert(bound > 0);
	/* 2^64 mod bound: so many values at the bottom would favour the small results. */
	partial = -bound % bound;
	do
		v = rng_u64(rng);
	while (v < partial);
	return v % bound;
}

double rng_unit(struct rng *rng)
{
	/* 53 bits are what a double holds exactly. */
	return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

void random_bytes(void *ret_bytes, size_t len)
{
	uint8_t *at = ret_bytes;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		at += n;
		len -= (size_t)n;
	}
}
