/* Messages out and back: see exchange.h. */
#include "echo/client/exchange.h"

#include "common/base/minmax.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void exchange_init(struct exchange *x, uint32_t seed)
{
	*x = (struct exchange){.seed = seed, .size = 1};
}

void exchange_begin(struct exchange *x, uint32_t size, uint32_t depth, uint64_t messages)
{
	assert(x->sent == x->received && size > 0 && depth > 0);
	x->base = x->sent;
	x->end = messages == EXCHANGE_ENDLESS ? UINT64_MAX : x->base + messages * size;
	x->done = 0;
	x->mark_end = 0;
	x->size = size;
	x->depth = depth;
}

void exchange_stop(struct exchange *x)
{
	uint64_t begun = (x->sent - x->base + x->size - 1) / x->size;

	x->end = min_u64(x->end, x->base + begun * x->size);
}

bool exchange_is_done(const struct exchange *x)
{
	return x->received == x->end;
}

uint64_t exchange_outstanding(const struct exchange *x)
{
	return x->sent - x->received;
}

size_t exchange_next(const struct exchange *x, const struct pattern *p, const uint8_t **ret_bytes)
{
	uint64_t limit = min_u64(x->end, x->base + (x->done + x->depth) * x->size);

	*ret_bytes = pattern_at(p, x->seed, x->sent);
	return (size_t)min_u64(limit - x->sent, PATTERN_PIECE_MAX);
}

/* Picks one of the messages that begin in the next `len` bytes, if one does. */
static void mark(struct exchange *x, size_t len, uint64_t now_ns)
{
	uint64_t into = (x->sent - x->base) % x->size;
	uint64_t first = into ? x->size - into : 0; /* from `sent` on */
	uint64_t count;

	if (first >= len)
		return;
	count = (len - first - 1) / x->size + 1;
	x->mark_end = x->sent + first + (x->marks++ % count + 1) * x->size;
	x->mark_ns = now_ns;
}

void exchange_sent(struct exchange *x, size_t len, uint64_t now_ns)
{
	if (x->mark_end == 0)
		mark(x, len, now_ns);
	x->sent += len;
}

/* `len` is PATTERN_PIECE_MAX at the most. Returns how many are as they should be. */
static size_t compare(const struct exchange *x, const struct pattern *p, const uint8_t *bytes,
		      size_t len)
{
	const uint8_t *expected = pattern_at(p, x->seed, x->received);
	size_t good = 0;

	if (memcmp(bytes, expected, len) == 0)
		return len;
	while (bytes[good] == expected[good])
		good++;
	return good;
}

static void tell(struct exchange *x, uint64_t now_ns, struct news *ret)
{
	uint64_t done = (x->received - x->base) / x->size;

	*ret = (struct news){.messages = done - x->done};
	x->done = done;
	if (x->mark_end == 0 || x->received < x->mark_end)
		return;
	ret->has_latency = true;
	ret->latency_ns = now_ns - x->mark_ns;
	x->mark_end = 0;
}

int exchange_received(struct exchange *x, const struct pattern *p, const uint8_t *bytes, size_t len,
		      uint64_t now_ns, struct news *ret)
{
	size_t checkable = (size_t)min_u64(len, exchange_outstanding(x));
	size_t at = 0;

	while (at < checkable) {
		size_t piece = (size_t)min_u64(checkable - at, PATTERN_PIECE_MAX);
		size_t good = compare(x, p, bytes + at, piece);

		x->received += good;
		if (good < piece)
			return -EBADMSG;
		at += piece;
	}
	if (checkable < len)
		return -EBADMSG; /* it was never sent */
	tell(x, now_ns, ret);
	return 0;
}
