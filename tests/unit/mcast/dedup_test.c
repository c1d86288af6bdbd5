/* with: src/mcast/core/dedup.c src/mcast/core/siphash.c src/mcast/core/tracks.c */
/* with: src/mcast/core/twins.c */
/* Copies: case by case, and by simulation of two inputs that lose, delay, reorder and duplicate.
 * What arrived by at least one goes on exactly once. */
#include "mcast/core/dedup.h"

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SSRC 0x11223344u
#define PACKET_BYTES 20u

static void rtp_make(uint8_t out[PACKET_BYTES], uint32_t ssrc, uint16_t sequence)
{
	const uint8_t head[12] = {0x80,
				  0x21,
				  (uint8_t)(sequence >> 8),
				  (uint8_t)sequence,
				  0,
				  0,
				  0,
				  0,
				  (uint8_t)(ssrc >> 24),
				  (uint8_t)(ssrc >> 16),
				  (uint8_t)(ssrc >> 8),
				  (uint8_t)ssrc};

	memset(out, 0x47, PACKET_BYTES);
	memcpy(out, head, sizeof(head));
}

static enum dedup_verdict take(struct dedup *d, unsigned in, uint32_t ssrc, unsigned sequence)
{
	uint8_t packet[PACKET_BYTES];

	rtp_make(packet, ssrc, (uint16_t)sequence);
	return dedup_take(d, in, packet, sizeof(packet));
}

static struct dedup *dedup_new(enum rule_match match, uint64_t seed)
{
	struct dedup *d = malloc(dedup_bytes());

	assert_non_null(d);
	dedup_init(d, match, seed);
	return d;
}

static int set_up(void **state)
{
	*state = dedup_new(RULE_MATCH_RTP, 1);
	return 0;
}

static int set_up_content(void **state)
{
	*state = dedup_new(RULE_MATCH_CONTENT, 1);
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* ---- RTP ---- */

static void the_first_copy_wins(void **state)
{
	struct dedup *d = *state;

	assert_int_equal(take(d, 0, SSRC, 10), DEDUP_FIRST);
	assert_int_equal(take(d, 1, SSRC, 10), DEDUP_COPY);
	assert_int_equal(take(d, 1, SSRC, 12), DEDUP_FIRST);
	assert_int_equal(take(d, 1, SSRC, 11), DEDUP_FIRST);
	assert_int_equal(take(d, 0, SSRC, 11), DEDUP_COPY);
	assert_int_equal(take(d, 0, SSRC, 12), DEDUP_COPY);
	assert_int_equal(take(d, 0, SSRC, 12), DEDUP_COPY); /* doubled by the network */
}

static void what_is_no_rtp(void **state)
{
	struct dedup *d = *state;
	uint8_t packet[PACKET_BYTES];

	rtp_make(packet, SSRC, 1);
	assert_int_equal(dedup_take(d, 0, packet, 11), DEDUP_ALIEN);
	assert_int_equal(dedup_take(d, 0, packet, 0), DEDUP_ALIEN);
	packet[0] = 0x47; /* MPEG-TS without RTP */
	assert_int_equal(dedup_take(d, 0, packet, sizeof(packet)), DEDUP_ALIEN);
	packet[0] = 0x80;
	packet[1] = 200; /* an RTCP sender report */
	assert_int_equal(dedup_take(d, 0, packet, sizeof(packet)), DEDUP_ALIEN);
	assert_int_equal(take(d, 0, SSRC, 1), DEDUP_FIRST);
}

static void numbers_wrap(void **state)
{
	struct dedup *d = *state;

	for (unsigned i = 0; i < 200000; i++) {
		assert_int_equal(take(d, i & 1, SSRC, i), DEDUP_FIRST);
		if (i >= DEDUP_WINDOW / 2)
			assert_int_equal(take(d, ~i & 1, SSRC, i - DEDUP_WINDOW / 2), DEDUP_COPY);
	}
}

/* Both the old run's end and the new one's beginning, mixed. */
static void assert_begins_anew(struct dedup *d, uint32_t ssrc, unsigned sequence)
{
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(take(d, 0, SSRC, i), DEDUP_FIRST);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(take(d, 0, ssrc, sequence + i), DEDUP_FIRST);
		assert_int_equal(take(d, 1, SSRC, i), DEDUP_COPY);
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(take(d, 1, ssrc, sequence + i), DEDUP_COPY);
}

static void another_ssrc(void **state)
{
	assert_begins_anew(*state, 5, 100);
}

static void another_number(void **state)
{
	assert_begins_anew(*state, SSRC, 30000);
}

static void strays_do_no_harm(void **state)
{
	struct dedup *d = *state;

	for (unsigned i = 0; i < 100000; i++) {
		assert_int_equal(take(d, 0, SSRC, i), DEDUP_FIRST);
		if (i % 100 == 0)
			assert_int_equal(take(d, 0, 1000 + i, i * 7), DEDUP_FIRST);
		if (i % 100 == 50)
			assert_int_equal(take(d, 0, SSRC, i + 20000), DEDUP_FIRST);
		assert_int_equal(take(d, 1, SSRC, i), DEDUP_COPY);
	}
}

/* ---- content ---- */

static enum dedup_verdict take_text(struct dedup *d, unsigned in, const char *text)
{
	return dedup_take(d, in, (const uint8_t *)text, strlen(text));
}

static void content_is_known_by_the_other_input(void **state)
{
	struct dedup *d = *state;

	assert_int_equal(take_text(d, 0, "x"), DEDUP_FIRST);
	assert_int_equal(take_text(d, 1, "x"), DEDUP_COPY);
	assert_int_equal(take_text(d, 0, "x"), DEDUP_FIRST); /* sent twice on purpose */
	assert_int_equal(take_text(d, 0, "x"), DEDUP_FIRST);
	assert_int_equal(take_text(d, 1, "x"), DEDUP_COPY);
	assert_int_equal(take_text(d, 1, "x"), DEDUP_COPY);
	assert_int_equal(take_text(d, 1, "x"), DEDUP_FIRST); /* now this one is ahead */
	assert_int_equal(take_text(d, 0, "x"), DEDUP_COPY);
	assert_int_equal(take_text(d, 1, ""), DEDUP_FIRST);
	assert_int_equal(take_text(d, 0, ""), DEDUP_COPY);
}

static void what_waits_too_long_is_forgotten(void **state)
{
	struct dedup *d = *state;

	assert_int_equal(take_text(d, 0, "x"), DEDUP_FIRST);
	for (uint32_t i = 0; i < DEDUP_WINDOW; i++)
		assert_int_equal(dedup_take(d, 0, (uint8_t *)&i, sizeof(i)), DEDUP_FIRST);
	assert_int_equal(take_text(d, 1, "x"), DEDUP_FIRST);
}

/* ---- simulation ---- */

struct arrival {
	double at;
	unsigned input;
	uint32_t packet;
};

struct plan {
	uint32_t packets;
	double delay, jitter; /* of the second input, of both; in packets */
	double loss, doubled;
	bool is_content;
};

static int by_time(const void *a, const void *b)
{
	double x = ((const struct arrival *)a)->at, y = ((const struct arrival *)b)->at;

	return (x > y) - (x < y);
}

/* In the order in which they come; up to 4 for each packet. */
static size_t arrivals(const struct plan *p, struct rng *rng, struct arrival *out)
{
	size_t count = 0;

	for (uint32_t i = 0; i < p->packets; i++)
		for (unsigned in = 0; in < 2; in++) {
			int copies = rng_unit(rng) < p->loss ? 0 : 1;

			copies += copies && rng_unit(rng) < p->doubled;
			while (copies-- > 0)
				out[count++] = (struct arrival){i + in * p->delay +
									rng_unit(rng) * p->jitter,
								in, i};
		}
	qsort(out, count, sizeof(*out), by_time);
	return count;
}

/* Two changes of SSRC and one jump within one, numbers that wrap. */
static size_t packet_make(const struct plan *p, uint32_t packet, uint8_t out[PACKET_BYTES])
{
	uint32_t ssrc = SSRC + packet / (p->packets / 3 + 1);
	uint32_t jump = packet > p->packets / 2 ? 31000 : 0;

	if (p->is_content) {
		memset(out, 0, PACKET_BYTES);
		memcpy(out, &packet, sizeof(packet));
	} else {
		rtp_make(out, ssrc, (uint16_t)(65000 + packet + jump));
	}
	return PACKET_BYTES;
}

static void simulate(const struct plan *p, uint64_t seed)
{
	struct arrival *list = calloc(4 * (size_t)p->packets, sizeof(*list));
	uint8_t *came = calloc(p->packets, 1), *went = calloc(p->packets, 1);
	enum rule_match match = p->is_content ? RULE_MATCH_CONTENT : RULE_MATCH_RTP;
	struct dedup *d = dedup_new(match, seed);
	struct rng rng;
	size_t count;

	assert_true(list && came && went);
	rng_init(&rng, seed);
	count = arrivals(p, &rng, list);
	for (size_t i = 0; i < count; i++) {
		uint8_t packet[PACKET_BYTES];
		size_t len = packet_make(p, list[i].packet, packet);

		if (rng_unit(&rng) < 0.01)
			dedup_repair(d); /* another process goes on */
		came[list[i].packet] = 1;
		if (dedup_take(d, list[i].input, packet, len) == DEDUP_FIRST)
			went[list[i].packet]++;
	}
	for (uint32_t i = 0; i < p->packets; i++)
		if (went[i] != came[i])
			fail_msg("seed %lu: packet %u came %u, went %u", (unsigned long)seed, i,
				 came[i], went[i]);
	free(d);
	free(list);
	free(came);
	free(went);
}

static void rtp_goes_on_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		const struct plan p = {.packets = 150000,
				       .delay = (double)(seed % 4) * 1000,
				       .jitter = 1 + (double)(seed % 3) * 400,
				       .loss = (double)(seed % 5) * 0.1,
				       .doubled = 0.05};

		simulate(&p, seed);
	}
}

/* Doubled packets of one input are taken for sent twice on purpose, so there are none. */
static void content_goes_on_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		const struct plan p = {.packets = 50000,
				       .delay = (double)(seed % 4) * 900,
				       .jitter = 1 + (double)(seed % 3) * 400,
				       .loss = (double)(seed % 5) * 0.1,
				       .is_content = true};

		simulate(&p, seed);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define test_content(name) cmocka_unit_test_setup_teardown(name, set_up_content, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_first_copy_wins),
		test(what_is_no_rtp),
		test(numbers_wrap),
		test(another_ssrc),
		test(another_number),
		test(strays_do_no_harm),
		test_content(content_is_known_by_the_other_input),
		test_content(what_waits_too_long_is_forgotten),
		cmocka_unit_test(rtp_goes_on_once),
		cmocka_unit_test(content_goes_on_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
