/* Fuzz target for the deframer: however a stream is cut, the same comes out. The first byte seeds
 * the cuts, the rest is the stream; it is fed whole, byte by byte and in random parts, each part
 * in a buffer of just its size so that ASan sees a byte too many being read. */
#include "common/base/rng.h"
#include "common/wire/deframer.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX FRAME_PAYLOAD_MIN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
	if (!is_true)
		abort();
}

/* All that came out, as one number that does not depend on where DATA was cut (FNV-1a). */
static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3;
	return hash;
}

/* A header for each byte of DATA, one for its end if it has one or has no bytes. */
static uint64_t mix_data(uint64_t hash, const struct deframed *got)
{
	struct frame head = got->head;
	uint8_t bytes[FRAME_HEADER_BYTES];

	require(got->data.len == head.len && got->control == NULL);
	head.flags = 0;
	head.len = 1;
	for (uint32_t i = 0; i < got->data.len; i++, head.offset++) {
		frame_encode(&head, bytes);
		hash = mix(hash, bytes, sizeof(bytes));
		hash = mix(hash, got->data.at + i, 1);
	}
	if (got->data.len > 0 && got->head.flags == 0)
		return hash;
	head.flags = got->head.flags;
	head.len = 0;
	frame_encode(&head, bytes);
	return mix(hash, bytes, sizeof(bytes));
}

static uint64_t mix_control(uint64_t hash, const struct deframed *got)
{
	uint8_t bytes[FRAME_HEADER_BYTES];

	require(got->control != NULL && got->data.len == 0);
	frame_encode(&got->head, bytes);
	hash = mix(hash, bytes, sizeof(bytes));
	return mix(hash, got->control, got->head.len);
}

/* Feeds one part. 0, or -EPROTO when the stream is broken. */
static int feed(struct deframer *d, const uint8_t *part, size_t len, uint64_t *hash)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct slice in = {NULL, copy, (uint32_t)len};
	struct deframed got;
	int result;

	require(copy != NULL);
	memcpy(copy, part, len);
	while ((result = deframer_next(d, &in, &got)) == 1) {
		if (got.head.type == FRAME_DATA)
			*hash = mix_data(*hash, &got);
		else
			*hash = mix_control(*hash, &got);
	}
	require(result < 0 || in.len == 0);
	free(copy);
	return result;
}

/* The hash over a stream fed in parts of part_min to part_max bytes and how it stands then. */
static uint64_t run(const uint8_t *data, size_t size, struct rng *rng, size_t part_min,
		    size_t part_max)
{
	struct deframer d;
	uint64_t hash = 0xcbf29ce484222325;
	uint8_t is_idle;
	int result = 0;

	deframer_init(&d, PAYLOAD_MAX);
	while (size > 0 && result == 0) {
		size_t part = part_min + rng_below(rng, part_max - part_min + 1);

		part = part < size ? part : size;
		result = feed(&d, data, part, &hash);
		data += part;
		size -= part;
	}
	is_idle = deframer_is_idle(&d);
	hash = mix(hash, &result, sizeof(result));
	return mix(hash, &is_idle, sizeof(is_idle));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng rng;
	uint64_t expected;

	if (size < 2)
		return 0;
	rng_init(&rng, *data++);
	size--;
	expected = run(data, size, &rng, size, size);
	require(run(data, size, &rng, 1, 1) == expected);
	require(run(data, size, &rng, 1, 8) == expected);
	require(run(data, size, &rng, 1, 64) == expected);
	return 0;
}
