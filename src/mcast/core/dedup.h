/* First copy wins: the same stream comes by two inputs, each packet goes on once.
 *
 * RTP (tracks.h): by sequence number within one SSRC, in a window of DEDUP_WINDOW packets below
 * the highest seen; a number far outside the window, or another SSRC, begins anew.
 * Content (twins.h): by a keyed hash of the payload, among the last DEDUP_WINDOW packets that went
 * on; the same bytes sent twice by the source on purpose are told from copies by the input: a
 * second copy comes by the other input. */
#ifndef MCAST_DEDUP_H
#define MCAST_DEDUP_H

#include "mcast/core/rule.h"

/* By so many packets one input may be behind the other: 80 ms at 50,000 a second, 3 s of a TV
 * stream. A power of two, since numbers wrap, and far below half of theirs. */
#define DEDUP_WINDOW 4096u

/* Has no pointers: it may lie in memory that one process after the other maps. */
struct dedup;

size_t dedup_bytes(void);
/* In memory of that size, aligned for anything. `match` is not RULE_MATCH_NONE; `seed` is random,
 * so that nobody can make two payloads that are taken for one. */
void dedup_init(struct dedup *d, enum rule_match match, uint64_t seed);

/* Before another process goes on with it: the last one may have died within a call. */
void dedup_repair(struct dedup *d);

enum dedup_verdict {
	DEDUP_FIRST, /* goes on */
	DEDUP_COPY,  /* was there by the other input */
	DEDUP_ALIEN, /* RTP is expected and this is none: it is dropped */
};

/* `input`: 0 or 1. */
enum dedup_verdict dedup_take(struct dedup *d, unsigned input, const uint8_t *payload, size_t len);

#endif
