/* What a path measures, in virtual time: the rate and RTT of a link that is simulated here, what
 * may spoil the samples and must not, and the limits that follow from them. */
#include "common/flow/path.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_US (10 * US_PER_S)
#define MS(n) ((n)*US_PER_MS)

/* One frame under way. */
struct flight {
	struct rate_mark mark;
	uint64_t sent_us, acked_us;
	uint32_t len;
};

#define FLIGHTS 4096

/* A link of constant rate and delay, first in, first out; each frame is acknowledged alone. */
struct line {
	struct path path;
	uint64_t now_us, free_us; /* when the link has sent all that it has */
	uint64_t rate_Bps, rtt_us;
	uint64_t back_us; /* what its acknowledgements wait for on their way */
	uint64_t late_us; /* and for what else, most of the time; nobody tells */
	struct flight flights[FLIGHTS];
	size_t first, count;
	uint64_t inflight_max;
};

static void line_init(struct line *l, uint64_t rate_Bps, uint64_t rtt_us)
{
	memset(l, 0, sizeof(*l));
	path_init(&l->path, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	l->now_us = l->free_us = START_US;
	l->rate_Bps = rate_Bps;
	l->rtt_us = rtt_us;
}

static void line_send(struct line *l, uint32_t len)
{
	struct flight *f = &l->flights[(l->first + l->count++) % FLIGHTS];

	assert_true(l->count < FLIGHTS);
	*f = (struct flight){.sent_us = l->now_us, .len = len};
	path_on_sent(&l->path, len, l->now_us, &f->mark);
	if (l->path.inflight_bytes > l->inflight_max)
		l->inflight_max = l->path.inflight_bytes;
	if (l->free_us < l->now_us)
		l->free_us = l->now_us;
	l->free_us += len * US_PER_S / l->rate_Bps;
	f->acked_us = l->free_us + l->rtt_us + l->back_us;
	if (l->now_us % MS(50) >= MS(5))
		f->acked_us += l->late_us;
	/* What is acknowledged later is with it. */
	for (size_t i = 0; i + 1 < l->count; i++) {
		struct flight *before = &l->flights[(l->first + i) % FLIGHTS];

		if (before->acked_us > f->acked_us)
			before->acked_us = f->acked_us;
	}
}

/* Time goes on to the next acknowledgement. */
static void line_ack(struct line *l)
{
	struct flight *f = &l->flights[l->first];

	assert_true(l->count > 0);
	l->now_us = f->acked_us;
	l->first = (l->first + 1) % FLIGHTS;
	l->count--;
	path_on_acked(&l->path, f->len, &f->mark, f->sent_us, l->now_us);
	path_end_ack(&l->path, 0, l->back_us, l->now_us);
}

/* As much as the path allows, for so long. */
static void line_run(struct line *l, uint64_t duration_us)
{
	uint64_t end_us = l->now_us + duration_us;

	while (l->now_us < end_us) {
		while (path_has_room(&l->path))
			line_send(l, l->path.frame_bytes);
		line_ack(l);
	}
}

static void line_drain(struct line *l)
{
	while (l->count > 0)
		line_ack(l);
}

static void assert_near(uint64_t got, uint64_t wanted, uint64_t percent)
{
	assert_in_range(got, wanted - wanted * percent / 100, wanted + wanted * percent / 100);
}

/* ---- samples ---- */

static void a_link_is_measured(void **state)
{
	static const struct {
		uint64_t rate_Bps, rtt_us;
	} links[] = {{6250000, MS(1)}, {12500000, MS(20)}, {18750000, 200}, {125000000, MS(5)}};
	static struct line l;

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		line_init(&l, links[i].rate_Bps, links[i].rtt_us);
		line_run(&l, 2 * US_PER_S);
		assert_near(l.path.rate_Bps, l.rate_Bps, 2);
		/* The base RTT without a queue, once the window of the busy time is over. */
		line_drain(&l);
		l.now_us += 20 * US_PER_S;
		line_send(&l, 1000);
		line_ack(&l);
		assert_int_equal(l.path.base_rtt_us, l.rtt_us + 1000 * US_PER_S / l.rate_Bps);
		assert_int_equal(l.path.inflight_bytes, 0);
	}
}

/* What is under way stays at a few times what the link holds, so that little waits in it. */
static void in_flight_is_bounded_by_the_cap(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 12500000, MS(20));
	line_run(&l, 2 * US_PER_S);
	l.inflight_max = 0;
	line_run(&l, US_PER_S);
	assert_true(l.inflight_max < l.path.cap_bytes + l.path.frame_bytes);
}

/* Its own queue does not become part of the way, however long it is busy, and little is lost by
 * that. */
static void a_busy_path_keeps_its_base(void **state)
{
	static struct line l;
	uint64_t before;

	(void)state;
	line_init(&l, 6250000, MS(40));
	line_run(&l, 2 * US_PER_S);
	before = l.path.delivered_bytes;
	line_run(&l, 100 * US_PER_S);
	assert_true(l.path.base_rtt_us <= MS(40) * 9 / 8);
	assert_true(l.path.rtt_us <= 2 * MS(40));
	assert_near(l.path.delivered_bytes - before, 100 * l.rate_Bps, 1);
}

/* Acknowledgements queue behind bytes of the other direction as soon as the path is there. */
static void a_busy_way_back_does_not_hold_the_rate_down(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 6250000, MS(10));
	l.back_us = MS(10);
	line_run(&l, US_PER_S / 2);
	assert_near(l.path.rate_Bps, l.rate_Bps, 2);
	assert_true(l.path.base_rtt_us < MS(20));
	assert_near(l.path.cap_bytes, (MS(20) + MS(15) / 2) * l.rate_Bps / US_PER_S, 10);
	l.back_us = 0;
	line_run(&l, US_PER_S / 2);
	assert_near(l.path.cap_bytes, (MS(10) + MS(15) / 2) * l.rate_Bps / US_PER_S, 10);
}

/* Now and then one comes in time, so that the base holds; and the way back tells nothing. */
static void late_acknowledgements_do_not_hold_the_rate_down(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 6250000, MS(10));
	line_run(&l, US_PER_S);
	l.late_us = MS(25);
	line_run(&l, 5 * US_PER_S);
	assert_true(l.path.rate_Bps > l.rate_Bps * 3 / 4);
	assert_true(l.path.base_rtt_us < MS(12));
	l.late_us = 0;
	line_run(&l, 3 * US_PER_S);
	assert_near(l.path.rate_Bps, l.rate_Bps, 2);
	assert_near(l.path.cap_bytes, (MS(10) + MS(15) / 2) * l.rate_Bps / US_PER_S, 10);
}

/* The path has forgotten its rate, and learns it again in their midst. */
static void late_acknowledgements_do_not_keep_the_rate_down(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 6250000, MS(10));
	line_run(&l, US_PER_S);
	l.late_us = MS(25);
	line_drain(&l);
	path_restart(&l.path);
	l.path.cap_bytes = 2 * l.path.frame_bytes; /* and begins with next to nothing */
	line_run(&l, 6 * US_PER_S);
	assert_true(l.path.rate_Bps > l.rate_Bps * 3 / 4);
}

/* That a queue does not stand while nothing, or not much, is sent says nothing. */
static void bursts_do_not_make_the_cap_grow(void **state)
{
	static struct line l;
	uint64_t cap_bytes;

	(void)state;
	line_init(&l, 6250000, MS(10));
	line_run(&l, 2 * US_PER_S);
	cap_bytes = l.path.cap_bytes;
	for (int i = 0; i < 20; i++) {
		line_drain(&l);
		path_on_app_limited(&l.path);
		l.now_us += i % 2 ? US_PER_S : US_PER_S / 10;
		l.inflight_max = 0;
		line_run(&l, US_PER_S * 3 / 10);
		assert_true(l.inflight_max <= cap_bytes + cap_bytes / 4);
	}
}

/* As on a route that has changed. */
static void a_longer_way_does_not_shrink_the_cap_for_good(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 6250000, MS(10));
	line_run(&l, 2 * US_PER_S);
	l.rtt_us = MS(30);
	line_run(&l, 3 * US_PER_S);
	assert_near(l.path.rate_Bps, l.rate_Bps, 2);
	assert_true(l.path.base_rtt_us >= MS(30));
	l.rtt_us = MS(10); /* what is shorter counts at once */
	line_run(&l, US_PER_S);
	assert_true(l.path.base_rtt_us < MS(30));
}

/* Its own queue is no longer way, however long it is for a while. */
static void a_link_that_has_become_slower_is_not_longer(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 6250000, MS(10));
	line_run(&l, 2 * US_PER_S);
	l.rate_Bps = 625000;
	line_run(&l, 4 * US_PER_S);
	assert_near(l.path.rate_Bps, l.rate_Bps, 2);
	assert_true(l.path.base_rtt_us < MS(20));
}

static void a_slower_link_is_believed_after_the_window(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 12500000, MS(5));
	line_run(&l, US_PER_S);
	l.rate_Bps = 2500000;
	line_run(&l, MS(PATH_RATE_WINDOW_MS) / 2);
	assert_near(l.path.rate_Bps, 12500000, 2);
	line_run(&l, 3 * MS(PATH_RATE_WINDOW_MS));
	assert_near(l.path.rate_Bps, 2500000, 2);
}

/* Small messages now and then say nothing about what the link could carry. */
static void samples_of_an_idle_application_do_not_lower_the_rate(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 12500000, MS(5));
	line_run(&l, US_PER_S);
	line_drain(&l);
	for (int i = 0; i < 1000; i++) {
		l.now_us += MS(10);
		path_on_app_limited(&l.path);
		line_send(&l, 1000);
		line_ack(&l);
	}
	assert_near(l.path.rate_Bps, 12500000, 2);
}

static void samples_of_an_idle_application_raise_the_rate(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 1000000, MS(1));
	line_run(&l, US_PER_S);
	line_drain(&l);
	l.rate_Bps = 100000000;
	path_on_app_limited(&l.path);
	for (int i = 0; i < 8; i++)
		line_send(&l, 64 * KIB);
	line_drain(&l);
	assert_true(l.path.rate_Bps > 50000000);
}

/* The first message of a session, alone: a low estimate would keep the path small for long. */
static void a_lone_small_message_gives_no_estimate(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 12500000, MS(5));
	path_on_app_limited(&l.path);
	line_send(&l, 100);
	line_ack(&l);
	assert_int_equal(l.path.rate_Bps, 0);
	assert_int_equal(l.path.cap_bytes, PATH_CAP_FIRST_BYTES);
	assert_int_equal(l.path.base_rtt_us, MS(5) + 8);
}

/* Acknowledgements that come in one go are no fast link. */
static void short_intervals_give_no_rate(void **state)
{
	static struct line l;

	(void)state;
	line_init(&l, 1000000000, 100);
	line_send(&l, 4096);
	line_ack(&l);
	assert_true(l.now_us - START_US < PATH_RATE_INTERVAL_MIN_US);
	assert_int_equal(l.path.rate_Bps, 0);
	assert_true(l.path.base_rtt_us > 0);
}

static void bytes_sent_twice_give_no_sample(void **state)
{
	struct path p;
	struct rate_mark mark;

	(void)state;
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	path_on_sent(&p, 1000, START_US, &mark);
	p.inflight_bytes = 0;
	path_on_acked_again(&p, START_US + MS(50));
	path_end_ack(&p, 0, 0, START_US + MS(50));
	assert_true(p.progress_us == START_US + MS(50));
	assert_int_equal(p.rate_Bps, 0);
	assert_int_equal(p.base_rtt_us, 0);
	assert_int_equal(p.cap_bytes, PATH_CAP_FIRST_BYTES);
}

/* One exchange that takes `rtt_us`, of which the other end waited `delay_us`. */
static void exchange(struct path *p, uint64_t now_us, uint64_t rtt_us, uint32_t delay_us)
{
	struct rate_mark mark;

	path_on_sent(p, 1000, now_us, &mark);
	path_on_acked(p, 1000, &mark, now_us, now_us + rtt_us);
	path_end_ack(p, delay_us, 0, now_us + rtt_us);
}

static void the_acks_own_delay_is_no_rtt(void **state)
{
	struct path p;

	(void)state;
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	exchange(&p, START_US, MS(11), MS(1));
	assert_int_equal(p.base_rtt_us, MS(10));
	exchange(&p, START_US + MS(20), MS(1), MS(5)); /* a peer's lie, or two clocks' tick */
	assert_int_equal(p.base_rtt_us, 1);
}

/* The window is between one and two PATH_RTT_WINDOW_MS. */
static void the_base_rtt_is_a_windowed_minimum(void **state)
{
	uint64_t now_us = START_US, window_us = MS(PATH_RTT_WINDOW_MS);
	struct path p;

	(void)state;
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	exchange(&p, now_us, MS(10), 0);
	for (; now_us < START_US + window_us + MS(500); now_us += MS(100))
		exchange(&p, now_us, MS(30), 0);
	assert_int_equal(p.base_rtt_us, MS(10));
	assert_in_range(p.rtt_us, MS(29), MS(30)); /* the smoothed one follows at once */
	for (; now_us <= START_US + 2 * window_us + MS(100); now_us += MS(100))
		exchange(&p, now_us, MS(30), 0);
	assert_int_equal(p.base_rtt_us, MS(30));
	exchange(&p, now_us, MS(7), 0);
	assert_int_equal(p.base_rtt_us, MS(7));
}

/* ---- limits ---- */

static void before_the_first_sample_there_is_a_fair_burst(void **state)
{
	struct path p;

	(void)state;
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	assert_int_equal(p.cap_bytes, PATH_CAP_FIRST_BYTES);
	assert_int_equal(p.frame_bytes, PATH_FRAME_FIRST_BYTES);
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_MIN, NULL);
	assert_int_equal(p.frame_bytes, FRAME_PAYLOAD_MIN);
}

static void limits_follow_from_rate_and_rtt(void **state)
{
	static const struct {
		uint64_t rate_Bps, rtt_us;
		uint32_t payload_max;
		uint64_t frame_bytes, cap_bytes;
		bool is_full;
	} cases[] = {
		/* 2 ms of the rate; 15 ms of it in flight. */
		{6250000, 1000, FRAME_PAYLOAD_DEFAULT, 12500, 93750, false},
		/* Two bandwidth-delay products. */
		{6250000, 50000, FRAME_PAYLOAD_DEFAULT, 12500, 625000, false},
		/* Full: one and a quarter; one and 15 ms; one and
		 * three quarters; 15 ms. */
		{6250000, 80000, FRAME_PAYLOAD_DEFAULT, 12500, 625000, true},
		{6250000, 20000, FRAME_PAYLOAD_DEFAULT, 12500, 218750, true},
		{6250000, 12000, FRAME_PAYLOAD_DEFAULT, 12500, 131250, true},
		{6250000, 8000, FRAME_PAYLOAD_DEFAULT, 12500, 93750, true},
		/* A slow path: the smallest frame, and two of them. */
		{100000, 1000, FRAME_PAYLOAD_DEFAULT, FRAME_PAYLOAD_MIN, 2 * FRAME_PAYLOAD_MIN,
		 false},
		/* A fast one: what fills a read, and no more than fits into the caches. */
		{1250000000, 100, FRAME_PAYLOAD_DEFAULT, FRAME_WHOLE_BYTES,
		 PATH_CAP_FLOOR_BYTES_MAX, false},
		{1250000000, 10000, FRAME_PAYLOAD_DEFAULT, FRAME_WHOLE_BYTES, 25000000, false},
		/* What the other end takes. */
		{1250000000, 100, 8 * KIB, 8 * KIB, PATH_CAP_FLOOR_BYTES_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t later_us = START_US + cases[i].rtt_us;
		struct path p;
		struct rate_mark mark;

		path_init(&p, NULL, 0, 1, cases[i].payload_max, NULL);
		p.rate_Bps = cases[i].rate_Bps;
		p.full_count = cases[i].is_full ? PATH_FULL_ROUNDS : 0;
		/* A sample that says nothing of the rate. */
		path_on_app_limited(&p);
		path_on_sent(&p, 0, START_US, &mark);
		path_on_acked(&p, 0, &mark, START_US, later_us);
		path_end_ack(&p, 0, 0, later_us);
		assert_int_equal(p.frame_bytes, cases[i].frame_bytes);
		assert_int_equal(p.cap_bytes, cases[i].cap_bytes);
	}
}

/* ---- bytes that another path has overtaken ---- */

#define LATE_BYTES (60 * KIB)

/* They were sent at START_US, went another way at `late_us` too, and were acknowledged. */
static struct path overtaken_path(uint64_t late_us)
{
	struct path p;
	struct rate_mark mark;

	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	path_on_probed(&p, MS(10), START_US);
	path_on_sent(&p, LATE_BYTES, START_US, &mark);
	p.late_us = late_us;
	p.inflight_bytes -= LATE_BYTES;
	path_on_overtaken(&p, LATE_BYTES);
	return p;
}

static void what_was_overtaken_is_still_under_way(void **state)
{
	struct path p = overtaken_path(START_US + MS(20));
	struct rate_mark mark;

	(void)state;
	assert_false(path_has_room(&p));
	/* Sent before that was late: it may have arrived before the last of the late bytes. */
	path_on_sent(&p, 100, START_US + MS(19), &mark);
	path_on_acked(&p, 100, &mark, START_US + MS(19), START_US + MS(30));
	assert_false(path_has_room(&p));
	path_on_sent(&p, 100, START_US + MS(20), &mark);
	path_on_acked(&p, 100, &mark, START_US + MS(20), START_US + MS(40));
	assert_true(path_has_room(&p));
	assert_int_equal(p.delivered_bytes, 200); /* no rate comes of what may have come long ago */
	/* Copies on a path that is not late are not counted. */
	path_on_overtaken(&p, LATE_BYTES);
	assert_true(path_has_room(&p));
}

static void a_probe_behind_late_bytes_measures_their_path(void **state)
{
	struct path p = overtaken_path(START_US + MS(20));

	(void)state;
	path_on_probed(&p, MS(81), START_US + MS(100)); /* it was sent before them */
	assert_int_equal(path_load_bytes(&p), LATE_BYTES);
	assert_int_equal(p.rate_Bps, 0);
	/* Sent when 400 ms had gone by without one, which is not the path's doing. */
	path_on_probed(&p, MS(180), START_US + MS(600));
	assert_int_equal(path_load_bytes(&p), 0);
	assert_int_equal(p.rate_Bps, LATE_BYTES * 5); /* in 200 ms */
	assert_true(p.cap_bytes < LATE_BYTES);
}

/* The first part of a segment arrived, and its rest was late: that is no slower path. */
static void the_rest_of_a_segment_measures_all_of_it(void **state)
{
	struct path p = overtaken_path(START_US + MS(20));

	(void)state;
	p.delivered_bytes += LATE_BYTES - KIB; /* as sendq.c counts it, without a time */
	p.late_bytes = KIB;
	path_on_probed(&p, MS(180), START_US + MS(200));
	assert_int_equal(p.rate_Bps, LATE_BYTES * 5);
}

/* As of a lone message that did not fill it. */
static void late_bytes_of_an_idle_application_give_no_estimate(void **state)
{
	struct path p;
	struct rate_mark mark;

	(void)state;
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	path_on_probed(&p, MS(20), START_US);
	path_on_sent(&p, 24, START_US, &mark);
	path_on_app_limited(&p);
	p.late_us = START_US + MS(40);
	p.inflight_bytes -= 24;
	path_on_overtaken(&p, 24);
	path_on_probed(&p, MS(50), START_US + MS(100));
	assert_int_equal(path_load_bytes(&p), 0);
	assert_int_equal(p.rate_Bps, 0);
}

static void room_ends_at_the_cap(void **state)
{
	struct path p;
	struct rate_mark mark;

	(void)state;
	path_init(&p, NULL, 0, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	path_on_sent(&p, (uint32_t)PATH_CAP_FIRST_BYTES - p.frame_bytes, START_US, &mark);
	assert_true(path_has_room(&p));
	path_on_sent(&p, 1, START_US, &mark);
	assert_false(path_has_room(&p)); /* for a whole frame */
	p.inflight_bytes = 0;
	p.is_blocked = true;
	assert_false(path_has_room(&p));
	p.is_blocked = false;
	p.state = PATH_STALLED;
	assert_false(path_has_room(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_is_measured),
		cmocka_unit_test(in_flight_is_bounded_by_the_cap),
		cmocka_unit_test(a_busy_path_keeps_its_base),
		cmocka_unit_test(a_busy_way_back_does_not_hold_the_rate_down),
		cmocka_unit_test(late_acknowledgements_do_not_hold_the_rate_down),
		cmocka_unit_test(late_acknowledgements_do_not_keep_the_rate_down),
		cmocka_unit_test(bursts_do_not_make_the_cap_grow),
		cmocka_unit_test(a_longer_way_does_not_shrink_the_cap_for_good),
		cmocka_unit_test(a_link_that_has_become_slower_is_not_longer),
		cmocka_unit_test(a_slower_link_is_believed_after_the_window),
		cmocka_unit_test(samples_of_an_idle_application_do_not_lower_the_rate),
		cmocka_unit_test(samples_of_an_idle_application_raise_the_rate),
		cmocka_unit_test(a_lone_small_message_gives_no_estimate),
		cmocka_unit_test(short_intervals_give_no_rate),
		cmocka_unit_test(bytes_sent_twice_give_no_sample),
		cmocka_unit_test(the_acks_own_delay_is_no_rtt),
		cmocka_unit_test(the_base_rtt_is_a_windowed_minimum),
		cmocka_unit_test(before_the_first_sample_there_is_a_fair_burst),
		cmocka_unit_test(limits_follow_from_rate_and_rtt),
		cmocka_unit_test(what_was_overtaken_is_still_under_way),
		cmocka_unit_test(a_probe_behind_late_bytes_measures_their_path),
		cmocka_unit_test(the_rest_of_a_segment_measures_all_of_it),
		cmocka_unit_test(late_bytes_of_an_idle_application_give_no_estimate),
		cmocka_unit_test(room_ends_at_the_cap),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
