/* with: src/mcast/core/datagram.c src/mcast/core/ip.c */
/* Fuzz target for packets off a link: a payload lies within its packet, and what is good where sums
 * are verified is good where less is asked of them. */
#include "mcast/core/datagram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check(const struct datagram *d, const uint8_t *data, size_t size)
{
	require(d->source.family == d->destination.family && d->source.family != IP_NONE);
	require(d->payload > data && d->payload_bytes < size);
	require((size_t)(d->payload - data) <= size - d->payload_bytes);
}

/* Where the sum is trusted more, the same packet is good, and the same is in it. */
static void check_again(const struct datagram *d, const uint8_t *data, size_t size,
			enum datagram_sum known)
{
	struct datagram again = {0};

	require(datagram_decode(data, size, known, &again) == DATAGRAM_GOOD);
	require(again.payload == d->payload && again.payload_bytes == d->payload_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum datagram_sum strictest_first[] = {DATAGRAM_SUM_TOLD, DATAGRAM_SUM_BEGUN,
							    DATAGRAM_SUM_KNOWN};

	for (size_t i = 0; i < 3; i++) {
		struct datagram d = {0};

		if (datagram_decode(data, size, strictest_first[i], &d) != DATAGRAM_GOOD)
			continue;
		check(&d, data, size);
		for (size_t more = i + 1; more < 3; more++)
			check_again(&d, data, size, strictest_first[more]);
	}
	return 0;
}
