/* with: src/echo/client/exchange.c */
/* Messages over one connection: what may be sent when, what is counted, that a wrong byte is found
 * where it is, and which messages are timed. */
#include "echo/client/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SEED 5
#define WIRE_BYTES 300000u

/* A connection whose echo comes when it is asked for. */
struct fixture {
	struct pattern pattern;
	struct exchange x;
	uint8_t wire[WIRE_BYTES];
	size_t wire_len;
	uint64_t now_ns;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	pattern_init(&f->pattern);
	exchange_init(&f->x, SEED);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* Sends all that may be sent, in pieces of at most `piece_max`; returns how much that was. */
static size_t send_all(struct fixture *f, size_t piece_max)
{
	const uint8_t *bytes;
	size_t len, sum = 0;

	while ((len = exchange_next(&f->x, &f->pattern, &bytes)) > 0) {
		len = len < piece_max ? len : piece_max;
		assert_true(f->wire_len + len <= WIRE_BYTES);
		memcpy(f->wire + f->wire_len, bytes, len);
		f->wire_len += len;
		exchange_sent(&f->x, len, f->now_ns);
		sum += len;
	}
	return sum;
}

/* The first `len` bytes on the wire come back. */
static struct news echo(struct fixture *f, size_t len)
{
	struct news news = {0};

	assert_true(len <= f->wire_len);
	assert_int_equal(exchange_received(&f->x, &f->pattern, f->wire, len, f->now_ns, &news), 0);
	f->wire_len -= len;
	memmove(f->wire, f->wire + len, f->wire_len);
	return news;
}

static void test_nothing_to_say_at_first(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_all(f, SIZE_MAX), 0);
	assert_true(exchange_is_done(&f->x));
	assert_true(exchange_outstanding(&f->x) == 0);
}

static void test_one_message(void **state)
{
	struct fixture *f = *state;

	exchange_begin(&f->x, 100, 1, 1);
	assert_false(exchange_is_done(&f->x));
	assert_int_equal(send_all(f, 30), 100);
	assert_true(exchange_outstanding(&f->x) == 100);
	assert_true(echo(f, 99).messages == 0);
	assert_false(exchange_is_done(&f->x));
	assert_true(echo(f, 1).messages == 1);
	assert_true(exchange_is_done(&f->x));
	assert_int_equal(send_all(f, SIZE_MAX), 0);
}

static void test_depth_bounds_what_is_outstanding(void **state)
{
	struct fixture *f = *state;

	exchange_begin(&f->x, 10, 4, EXCHANGE_ENDLESS);
	assert_int_equal(send_all(f, SIZE_MAX), 40);
	echo(f, 9);
	assert_int_equal(send_all(f, SIZE_MAX), 0); /* no message is whole yet */
	assert_true(echo(f, 2).messages == 1);
	assert_int_equal(send_all(f, SIZE_MAX), 10);
	assert_true(echo(f, 39).messages == 4);
	assert_int_equal(send_all(f, SIZE_MAX), 40);
}

static void test_pieces_are_large(void **state)
{
	struct fixture *f = *state;
	const uint8_t *bytes;

	exchange_begin(&f->x, 256, 64, EXCHANGE_ENDLESS);
	assert_int_equal(exchange_next(&f->x, &f->pattern, &bytes), 64 * 256);
	send_all(f, SIZE_MAX);
	assert_true(echo(f, 64 * 256).messages == 64);
	assert_int_equal(exchange_next(&f->x, &f->pattern, &bytes), 64 * 256);
}

static void test_a_message_larger_than_a_piece(void **state)
{
	struct fixture *f = *state;
	const uint8_t *bytes;

	exchange_begin(&f->x, 200000, 1, 1);
	assert_int_equal(exchange_next(&f->x, &f->pattern, &bytes), PATTERN_PIECE_MAX);
	assert_int_equal(send_all(f, SIZE_MAX), 200000);
	assert_true(echo(f, 200000).messages == 1);
}

static void test_stopping_finishes_what_was_begun(void **state)
{
	struct fixture *f = *state;

	exchange_begin(&f->x, 100, 3, EXCHANGE_ENDLESS);
	exchange_sent(&f->x, 150, 0); /* the second message is half sent */
	exchange_stop(&f->x);
	assert_false(exchange_is_done(&f->x));
	memcpy(f->wire, pattern_at(&f->pattern, SEED, 0), 150);
	f->wire_len = 150;
	assert_int_equal(send_all(f, SIZE_MAX), 50);
	assert_true(echo(f, 200).messages == 2);
	assert_true(exchange_is_done(&f->x));
}

static void test_stopping_with_nothing_outstanding(void **state)
{
	struct fixture *f = *state;

	exchange_begin(&f->x, 100, 3, EXCHANGE_ENDLESS);
	exchange_stop(&f->x);
	assert_true(exchange_is_done(&f->x));
	assert_int_equal(send_all(f, SIZE_MAX), 0);
}

/* The stream goes on: bytes of an earlier size would be noticed. */
static void test_another_size_on_the_same_stream(void **state)
{
	struct fixture *f = *state;

	exchange_begin(&f->x, 70, 2, 3);
	while (!exchange_is_done(&f->x)) {
		send_all(f, SIZE_MAX);
		echo(f, f->wire_len);
	}
	assert_true(f->x.received == 210);
	exchange_begin(&f->x, 1000, 2, 2);
	assert_int_equal(send_all(f, SIZE_MAX), 2000);
	assert_memory_equal(f->wire, pattern_at(&f->pattern, SEED, 210), 2000);
	assert_true(echo(f, 2000).messages == 2);
	assert_true(exchange_is_done(&f->x));
}

static void test_a_wrong_byte_is_found(void **state)
{
	static const size_t places[] = {0, 1, 4999, 65535, 65536, 99999};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		struct fixture *f = *state;
		struct news news;

		exchange_init(&f->x, SEED);
		f->wire_len = 0;
		exchange_begin(&f->x, 50000, 2, 2);
		send_all(f, SIZE_MAX);
		f->wire[places[i]] ^= 1;
		assert_int_equal(exchange_received(&f->x, &f->pattern, f->wire, 100000, 0, &news),
				 -EBADMSG);
		assert_true(f->x.received == places[i]);
	}
}

static void test_bytes_that_were_never_sent(void **state)
{
	struct fixture *f = *state;
	struct news news;

	exchange_begin(&f->x, 10, 1, EXCHANGE_ENDLESS);
	send_all(f, SIZE_MAX);
	/* The right continuation of the stream, but too early. */
	assert_int_equal(exchange_received(&f->x, &f->pattern, pattern_at(&f->pattern, SEED, 0), 11,
					   0, &news),
			 -EBADMSG);
	assert_true(f->x.received == 10);
}

static void test_another_connections_bytes_are_wrong(void **state)
{
	struct fixture *f = *state;
	struct news news;

	exchange_begin(&f->x, 64, 1, 1);
	send_all(f, SIZE_MAX);
	assert_int_equal(exchange_received(&f->x, &f->pattern, pattern_at(&f->pattern, SEED + 1, 0),
					   64, 0, &news),
			 -EBADMSG);
}

static void test_latency_of_every_message_at_depth_1(void **state)
{
	struct fixture *f = *state;

	exchange_begin(&f->x, 100, 1, EXCHANGE_ENDLESS);
	for (uint64_t i = 1; i <= 10; i++) {
		struct news news;

		send_all(f, 60);
		f->now_ns += i;
		assert_false(echo(f, 50).has_latency);
		f->now_ns += 1000;
		news = echo(f, 50);
		assert_true(news.has_latency);
		assert_true(news.latency_ns == 1000 + i);
	}
}

/* A piece of four messages comes back in four parts: each position is timed in its turn. */
static void test_latency_of_each_position_in_turn(void **state)
{
	struct fixture *f = *state;
	unsigned seen[4] = {0};

	exchange_begin(&f->x, 10, 4, EXCHANGE_ENDLESS);
	for (int round = 0; round < 8; round++) {
		send_all(f, SIZE_MAX);
		for (uint64_t i = 0; i < 4; i++) {
			struct news news;

			f->now_ns += 1;
			news = echo(f, 10);
			if (!news.has_latency)
				continue;
			assert_true(news.latency_ns == i + 1);
			seen[i]++;
		}
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(seen[i], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_to_say_at_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_message, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_depth_bounds_what_is_outstanding, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_pieces_are_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_message_larger_than_a_piece, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_stopping_finishes_what_was_begun, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_stopping_with_nothing_outstanding, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_another_size_on_the_same_stream, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_wrong_byte_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_that_were_never_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_connections_bytes_are_wrong, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_latency_of_every_message_at_depth_1, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_latency_of_each_position_in_turn, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
