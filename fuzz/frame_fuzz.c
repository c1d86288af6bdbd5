/* Fuzz target for the codec: the input is a header and its payload, as on a subflow. What decodes
 * must encode to the same bytes again (a RESET's reason, which is made printable, after one round),
 * also when the header was refused: payload decoders stand on their own. */
#include "common/wire/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
	if (!is_true)
		abort();
}

static void require_same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	require(a_len == b_len && memcmp(a, b, a_len) == 0);
}

static void fuzz_hello(const uint8_t *in, size_t len)
{
	uint8_t out[HELLO_PAYLOAD_MAX];
	struct hello h;

	if (hello_decode(in, len, &h) == 0)
		require_same(in, len, out, hello_encode(&h, out, sizeof(out)));
}

static void fuzz_hello_ack(const uint8_t *in, size_t len)
{
	uint8_t out[HELLO_ACK_PAYLOAD_MAX];
	struct hello_ack h;

	if (hello_ack_decode(in, len, &h) == 0)
		require_same(in, len, out, hello_ack_encode(&h, out, sizeof(out)));
}

static void fuzz_open(const uint8_t *in, size_t len)
{
	uint8_t out[FRAME_CONTROL_MAX];
	struct open_info o;

	if (open_decode(in, len, &o) < 0)
		return;
	require(memchr(o.target.name, 0, sizeof(o.target.name)) != NULL);
	require(memchr(o.client.name, 0, sizeof(o.client.name)) != NULL);
	require_same(in, len, out, open_encode(&o, out, sizeof(out)));
}

static void fuzz_ack(const struct frame *head, const uint8_t *in, size_t len)
{
	uint8_t out[ACK_PAYLOAD_MAX];
	struct ack_info a;
	uint64_t below = head->offset;

	if (ack_decode(head, in, len, &a) < 0)
		return;
	require(a.range_count <= ACK_RANGES_MAX);
	for (uint32_t i = 0; i < a.range_count; i++) {
		require(i > 0 ? a.ranges[i].start >= below : a.ranges[i].start > below);
		require(a.ranges[i].end > a.ranges[i].start);
		below = a.ranges[i].end;
	}
	require_same(in, len, out, ack_encode(&a, out, sizeof(out)));
}

static void fuzz_reset(const uint8_t *in, size_t len)
{
	uint8_t once[FRAME_CONTROL_MAX], twice[FRAME_CONTROL_MAX];
	struct reset_info r;
	size_t once_len;

	if (reset_decode(in, len, &r) < 0)
		return;
	once_len = reset_encode(&r, once, sizeof(once));
	require(once_len == len);
	require(reset_decode(once, once_len, &r) == 0);
	require_same(once, once_len, twice, reset_encode(&r, twice, sizeof(twice)));
}

static void fuzz_u64(const uint8_t *in, size_t len)
{
	uint8_t out[8];
	uint64_t v;

	if (u64_decode(in, len, &v) == 0)
		require_same(in, len, out, u64_encode(v, out, sizeof(out)));
}

/* The types of one shape share their decoder; a type that is unknown gets all of them. */
static void fuzz_payload(const struct frame *head, const uint8_t *in, size_t len)
{
	uint8_t type = head->type;
	int is_unknown = frame_type_name(type)[0] == '?';

	if (is_unknown || type == FRAME_HELLO)
		fuzz_hello(in, len);
	if (is_unknown || type == FRAME_HELLO_ACK)
		fuzz_hello_ack(in, len);
	if (is_unknown || type == FRAME_OPEN)
		fuzz_open(in, len);
	if (is_unknown || type == FRAME_ACK)
		fuzz_ack(head, in, len);
	if (is_unknown || type == FRAME_RESET)
		fuzz_reset(in, len);
	if (is_unknown || type == FRAME_PING || type == FRAME_PATH_LOST || type == FRAME_PROBE)
		fuzz_u64(in, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[FRAME_HEADER_BYTES];
	struct frame head = {0};

	if (size < FRAME_HEADER_BYTES)
		return 0;
	head.type = data[0];
	if (frame_decode(data, FRAME_PAYLOAD_DEFAULT, &head) == 0) {
		frame_encode(&head, out);
		require_same(data, sizeof(out), out, sizeof(out));
	}
	fuzz_payload(&head, data + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES);
	return 0;
}
