/* A list of copies: see park.h. */
#include "mcast/relay/park.h"

#include <stdlib.h>
#include <string.h>

static struct parked *copy(unsigned input, const struct arrival *a)
{
	size_t len = a->bytes->iov_len;
	struct parked *copy = malloc(sizeof(*copy) + len);

	if (!copy)
		return NULL;
	*copy = (struct parked){.input = input, .arrival = *a, .from = *a->from};
	memcpy(copy->bytes, a->bytes->iov_base, len);
	copy->iovec = (struct iovec){copy->bytes, len};
	copy->arrival.bytes = &copy->iovec;
	copy->arrival.from = &copy->from;
	return copy;
}

bool park_add(struct park *p, unsigned input, const struct arrival *a)
{
	size_t bytes = sizeof(struct parked) + a->bytes->iov_len;
	struct parked *one = p->bytes + bytes <= PARK_BYTES_MAX ? copy(input, a) : NULL;

	if (!one)
		return false;
	if (p->last)
		p->last->next = one;
	else
		p->first = one;
	p->last = one;
	p->bytes += bytes;
	return true;
}

void park_done(struct park *p)
{
	struct parked *next;

	for (struct parked *one = p->first; one; one = next) {
		next = one->next;
		free(one);
	}
	*p = (struct park){0};
}
