/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): who does not know
 * the key cannot make two inputs that have the same hash. */
#ifndef MCAST_SIPHASH_H
#define MCAST_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *bytes, size_t len);

#endif
