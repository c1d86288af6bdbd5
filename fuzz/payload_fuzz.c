/* with: src/mcast/traffic/payload.c src/mcast/core/stamp.c */
/* with: src/mcast/sink/flow.c src/mcast/sink/account.c */
/* Fuzz target for what the traffic sink reads: packets of any bytes, the first byte of the input
 * says whether RTP is expected, and how long each is. All are counted, each as one thing. */
#include "mcast/sink/flow.h"

#include <stdbool.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check(const struct flow *f, uint64_t packets)
{
	const struct account *a = &f->account;

	require(f->received + f->corrupted + f->foreign == packets);
	require(f->received == a->unique + a->duplicated + a->too_late);
	require(a->reordered < a->unique || a->unique == 0);
	require(account_lost(a, 0) + a->unique == a->next - a->first);
	require(f->delay_ns.count == f->received && f->early <= f->received);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct payload payload;
	static struct flow flow;
	static bool is_filled;
	size_t len = size > 0 ? data[0] >> 1 : 0;
	uint64_t packets = 0;

	if (len == 0)
		return 0;
	if (!is_filled)
		payload_init(&payload, false);
	is_filled = true;
	payload.is_rtp = data[0] & 1;
	flow_init(&flow);
	for (size_t at = 1; at < size; at += len) {
		if (len > size - at)
			len = size - at;
		flow_take(&flow, &payload, data + at, len, packets++);
	}
	check(&flow, packets);
	return 0;
}
