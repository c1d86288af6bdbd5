/* with: src/mcast/core/datagram.c src/mcast/core/ip.c */
/* Fuzz target for packets off a link: a payload lies within its packet, and what is good where sums
 * are verified is good where they are not looked at. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct datagram strict = {0}, lenient = {0};
	enum datagram_verdict verdict = datagram_decode(data, size, false, &strict);

	if (verdict == DATAGRAM_GOOD) {
		check(&strict, data, size);
		require(datagram_decode(data, size, true, &lenient) == DATAGRAM_GOOD);
		require(lenient.payload == strict.payload &&
			lenient.payload_bytes == strict.payload_bytes);
	} else if (datagram_decode(data, size, true, &lenient) == DATAGRAM_GOOD) {
		check(&lenient, data, size);
		require(verdict == DATAGRAM_DAMAGED);
	}
	return 0;
}
