/* Chains in an idmap: see hashed.h. */
#include "mcast/core/hashed.h"

#include <assert.h>
#include <stddef.h>

/* idmap knows no key 0. */
static uint64_t key_of(uint64_t hash)
{
	return hash ? hash : 1;
}

void hashed_put(struct idmap *m, struct hashed *h, uint64_t hash)
{
	h->hash = hash;
	h->next = idmap_remove(m, key_of(hash));
	idmap_put(m, key_of(hash), h);
}

void hashed_remove(struct idmap *m, struct hashed *h)
{
	struct hashed *first = idmap_remove(m, key_of(h->hash));
	struct hashed **at = &first;

	while (*at != h) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = h->next;
	if (first)
		idmap_put(m, key_of(h->hash), first);
}

struct hashed *hashed_first(const struct idmap *m, uint64_t hash)
{
	return idmap_get(m, key_of(hash));
}
