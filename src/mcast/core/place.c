/* Places: see place.h. */
#include "mcast/core/place.h"

#include "common/base/reader.h"
#include "mcast/core/siphash.h"

#include <string.h>

struct place place_of_input(const struct rule_input *in)
{
	return (struct place){in->interface, in->group, in->port};
}

struct place place_of_output(const struct rule_output *out)
{
	return (struct place){out->interface, out->address, out->port};
}

bool place_is_same(const struct place *a, const struct place *b)
{
	return a->port == b->port && ip_is_same(&a->address, &b->address) &&
	       strcmp(a->interface, b->interface) == 0;
}

uint64_t place_hash(const struct place *p)
{
	static const uint64_t key[2] = {0};
	uint8_t bytes[sizeof(p->address.bytes) + 3 + RULE_INTERFACE_MAX];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	writer_bytes(&w, p->address.bytes, sizeof(p->address.bytes));
	writer_u8(&w, (uint8_t)p->address.family);
	writer_u16(&w, p->port);
	writer_bytes(&w, p->interface, strlen(p->interface));
	return siphash(key, bytes, writer_len(&w));
}
