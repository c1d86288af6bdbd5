/* The deframer: a stream with frames of every shape, whole, cut at every byte and in equal steps;
 * what it hands out in place and what it must collect; and that a broken stream stays broken. */
#include "common/wire/deframer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PAYLOAD_MAX 4096u
#define FRAMES_MAX 16

/* A byte stream, the frames in it, and how many of them (and of whose bytes) came out again. */
struct stream {
	uint8_t bytes[2048];
	uint32_t len;
	struct frame frames[FRAMES_MAX];
	const uint8_t *payloads[FRAMES_MAX]; /* in `bytes` */
	size_t frame_count, frames_seen;
	uint32_t payload_seen;
};

static void put_frame(struct stream *s, struct frame f, const void *payload)
{
	frame_encode(&f, s->bytes + s->len);
	s->len += FRAME_HEADER_BYTES;
	s->frames[s->frame_count] = f;
	s->payloads[s->frame_count] = s->bytes + s->len;
	s->frame_count++;
	if (f.len > 0)
		memcpy(s->bytes + s->len, payload, f.len);
	s->len += f.len;
}

#define TEXT "the quick brown fox"
#define TEXT_LEN 19

/* DATA of all kinds, control without payload, with one, and with the largest. */
static void put_all(struct stream *s)
{
	struct ack_info ack = {.credit = 1 << 20, .range_count = ACK_RANGES_MAX};
	uint8_t payload[ACK_PAYLOAD_MAX];

	for (uint32_t i = 0; i < ACK_RANGES_MAX; i++)
		ack.ranges[i] = (struct range){100 + 10 * i, 105 + 10 * i};
	ack_encode(&ack, payload, sizeof(payload));
	*s = (struct stream){0};
	put_frame(s, (struct frame){FRAME_PING, 0, 8, 0, 0}, "abcdefgh");
	put_frame(s, (struct frame){FRAME_DATA, 0, 0, 4, 50}, NULL);
	put_frame(s, (struct frame){FRAME_DATA, FRAME_FLAG_FIN, TEXT_LEN, 4, 50}, TEXT);
	put_frame(s, (struct frame){FRAME_DRAIN, 0, 0, 0, 0}, NULL);
	put_frame(s, (struct frame){FRAME_DATA, 0, TEXT_LEN, 5, 1000}, TEXT);
	put_frame(s, (struct frame){FRAME_ACK, 0, ACK_PAYLOAD_MAX, 5, 7}, payload);
	put_frame(s, (struct frame){FRAME_DATA, FRAME_FLAG_FIN, 0, 5, 1019}, NULL);
	put_frame(s, (struct frame){FRAME_DRAINED, 0, 0, 0, 0}, NULL);
}

static void check_data(struct stream *s, const struct frame *f, const struct deframed *got)
{
	uint32_t left = f->len - s->payload_seen;
	bool is_last = got->head.len == left;

	assert_null(got->control);
	assert_true(got->head.offset == f->offset + s->payload_seen);
	assert_int_equal(got->head.len, got->data.len);
	assert_in_range(got->head.len, f->len ? 1 : 0, left);
	assert_int_equal(got->head.flags, is_last ? f->flags : 0);
	assert_memory_equal(got->data.at, s->payloads[s->frames_seen] + s->payload_seen,
			    got->data.len);
	s->payload_seen += got->data.len;
}

static void check_control(struct stream *s, const struct frame *f, const struct deframed *got)
{
	assert_null(got->data.chunk);
	assert_int_equal(got->data.len, 0);
	assert_int_equal(got->head.flags, f->flags);
	assert_int_equal(got->head.len, f->len);
	assert_true(got->head.offset == f->offset);
	assert_non_null(got->control);
	assert_memory_equal(got->control, s->payloads[s->frames_seen], f->len);
	s->payload_seen = f->len;
}

/* What came out is the next of the stream. */
static void check_step(struct stream *s, const struct deframed *got)
{
	const struct frame *f = &s->frames[s->frames_seen];

	assert_true(s->frames_seen < s->frame_count);
	assert_int_equal(got->head.type, f->type);
	assert_true(got->head.session == f->session);
	if (f->type == FRAME_DATA)
		check_data(s, f, got);
	else
		check_control(s, f, got);
	if (s->payload_seen == f->len) {
		s->frames_seen++;
		s->payload_seen = 0;
	}
}

/* Feeds bytes [from, to) of the stream from a buffer of just that size. */
static void feed(struct deframer *d, struct stream *s, uint32_t from, uint32_t to)
{
	uint8_t *bytes = test_malloc(to - from + 1);
	uint8_t *start = bytes + 1; /* the end is what ASan guards */
	struct slice in = {NULL, start, to - from};
	struct deframed got;
	int result;

	memcpy(start, s->bytes + from, to - from);
	while ((result = deframer_next(d, &in, &got)) == 1)
		check_step(s, &got);
	assert_int_equal(result, 0);
	assert_int_equal(in.len, 0);
	assert_ptr_equal(in.at, start + (to - from));
	test_free(bytes);
}

/* Feeds all of a fresh stream in the given steps; all its frames must come out. */
static void feed_all(uint32_t first, uint32_t step)
{
	struct stream s;
	struct deframer d;

	put_all(&s);
	deframer_init(&d, PAYLOAD_MAX);
	assert_true(deframer_is_idle(&d));
	feed(&d, &s, 0, first);
	for (uint32_t from = first; from < s.len; from += step)
		feed(&d, &s, from, from + step < s.len ? from + step : s.len);
	assert_int_equal(s.frames_seen, s.frame_count);
	assert_true(deframer_is_idle(&d));
}

static void test_whole(void **state)
{
	(void)state;
	feed_all(0, sizeof(((struct stream *)0)->bytes));
}

static void test_split_at_every_byte(void **state)
{
	struct stream s;

	(void)state;
	put_all(&s);
	for (uint32_t first = 0; first <= s.len; first++)
		feed_all(first, sizeof(s.bytes));
}

static void test_equal_steps(void **state)
{
	(void)state;
	for (uint32_t step = 1; step <= 100; step++)
		feed_all(0, step);
}

static void test_idle_between_frames_only(void **state)
{
	struct stream s;
	struct deframer d;

	(void)state;
	put_all(&s);
	deframer_init(&d, PAYLOAD_MAX);
	for (uint32_t i = 0; i < s.len; i++) {
		bool is_start = false;

		for (size_t f = 0; f < s.frame_count; f++)
			is_start |= s.payloads[f] - FRAME_HEADER_BYTES == s.bytes + i;
		assert_int_equal(deframer_is_idle(&d), is_start);
		feed(&d, &s, i, i + 1);
	}
	assert_true(deframer_is_idle(&d));
}

static void test_data_is_not_copied(void **state)
{
	static struct chunk chunk; /* only passed on, never looked into */
	struct stream s = {0};
	struct deframer d;
	struct deframed got;
	struct slice in;

	(void)state;
	put_frame(&s, (struct frame){FRAME_DATA, FRAME_FLAG_FIN, TEXT_LEN, 4, 50}, TEXT);
	deframer_init(&d, PAYLOAD_MAX);
	in = (struct slice){&chunk, s.bytes, FRAME_HEADER_BYTES + 5};
	assert_int_equal(deframer_next(&d, &in, &got), 1);
	assert_ptr_equal(got.data.chunk, &chunk);
	assert_ptr_equal(got.data.at, s.bytes + FRAME_HEADER_BYTES);
	assert_int_equal(got.data.len, 5);
	assert_int_equal(deframer_next(&d, &in, &got), 0);
	in = (struct slice){&chunk, s.bytes + FRAME_HEADER_BYTES + 5, TEXT_LEN - 5};
	assert_int_equal(deframer_next(&d, &in, &got), 1);
	assert_ptr_equal(got.data.at, s.bytes + FRAME_HEADER_BYTES + 5);
	assert_int_equal(got.head.flags, FRAME_FLAG_FIN);
}

static void test_whole_control_stays_in_place(void **state)
{
	struct stream s = {0};
	struct deframer d;
	struct deframed got;
	struct slice in;

	(void)state;
	put_frame(&s, (struct frame){FRAME_PING, 0, 8, 0, 0}, "abcdefgh");
	deframer_init(&d, PAYLOAD_MAX);
	in = (struct slice){NULL, s.bytes, s.len};
	assert_int_equal(deframer_next(&d, &in, &got), 1);
	assert_ptr_equal(got.control, s.payloads[0]);
	in = (struct slice){NULL, s.bytes, 10}; /* a header in parts, the payload whole */
	assert_int_equal(deframer_next(&d, &in, &got), 0);
	in = (struct slice){NULL, s.bytes + 10, s.len - 10};
	assert_int_equal(deframer_next(&d, &in, &got), 1);
	assert_ptr_equal(got.control, s.payloads[0]);
}

/* A bad header after a good frame, the two cut anywhere. */
static void test_broken_stays_broken(void **state)
{
	(void)state;
	for (uint32_t cut = FRAME_HEADER_BYTES; cut < 2 * FRAME_HEADER_BYTES; cut++) {
		struct stream s = {0};
		struct deframer d;
		struct deframed got, untouched;
		struct slice in;

		put_frame(&s, (struct frame){FRAME_DRAIN, 0, 0, 0, 0}, NULL);
		put_frame(&s, (struct frame){FRAME_DRAIN, 0, 0, 0, 0}, NULL);
		s.bytes[FRAME_HEADER_BYTES] = 0x16;
		deframer_init(&d, PAYLOAD_MAX);
		feed(&d, &s, 0, cut);
		assert_int_equal(s.frames_seen, 1);
		in = (struct slice){NULL, s.bytes + cut, s.len - cut};
		memset(&got, 0xa5, sizeof(got));
		memset(&untouched, 0xa5, sizeof(untouched));
		assert_int_equal(deframer_next(&d, &in, &got), -EPROTO);
		assert_memory_equal(&got, &untouched, sizeof(got));
		assert_false(deframer_is_idle(&d));
		in = (struct slice){NULL, s.bytes, FRAME_HEADER_BYTES}; /* good by itself */
		assert_int_equal(deframer_next(&d, &in, &got), -EPROTO);
	}
}

static void test_agreed_payload_is_the_bound(void **state)
{
	struct stream s = {0};
	struct deframer d;
	struct deframed got;
	struct slice in;

	(void)state;
	frame_encode(&(struct frame){FRAME_DATA, 0, PAYLOAD_MAX, 1, 0}, s.bytes);
	in = (struct slice){NULL, s.bytes, FRAME_HEADER_BYTES};
	deframer_init(&d, PAYLOAD_MAX);
	assert_int_equal(deframer_next(&d, &in, &got), 0);
	in = (struct slice){NULL, s.bytes, FRAME_HEADER_BYTES};
	deframer_init(&d, PAYLOAD_MAX - 1);
	assert_int_equal(deframer_next(&d, &in, &got), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_equal_steps),
		cmocka_unit_test(test_idle_between_frames_only),
		cmocka_unit_test(test_data_is_not_copied),
		cmocka_unit_test(test_whole_control_stays_in_place),
		cmocka_unit_test(test_broken_stays_broken),
		cmocka_unit_test(test_agreed_payload_is_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
