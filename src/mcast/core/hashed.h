/* Objects in an idmap by a hash of their key: those whose hashes are equal form a chain, and the
 * caller compares the keys. The map owns nothing; an object must not change its key in it. */
#ifndef MCAST_HASHED_H
#define MCAST_HASHED_H

#include "common/base/idmap.h"

struct hashed {
	uint64_t hash;
	struct hashed *next; /* of the same hash, or NULL */
};

void hashed_put(struct idmap *m, struct hashed *h, uint64_t hash);
void hashed_remove(struct idmap *m, struct hashed *h);
/* The first of its chain, or NULL. */
struct hashed *hashed_first(const struct idmap *m, uint64_t hash);

#endif
