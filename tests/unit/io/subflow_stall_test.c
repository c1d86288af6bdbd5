/* A subflow whose peer falls silent: a filter in the peer's socket drops every segment, as a black
 * hole in the network would. And those that are none: slow readers, and idleness. */
/* with: tests/unit/io/subflow_pair.c */
#include "subflow_pair.h"

#include "silence.h"

#include "common/base/limits.h"

struct watcher {
	struct subflow_ops ops;
	unsigned int begun, ended;
};

static struct watcher watcher;

static void on_stalled(struct subflow *s, bool is_stalled)
{
	assert_int_equal(subflow_is_stalled(s), is_stalled);
	if (is_stalled)
		watcher.begun++;
	else
		watcher.ended++;
}

static void watch(struct subflow *s)
{
	watcher = (struct watcher){.ops = pair_ops};
	watcher.ops.stalled = on_stalled;
	s->ops = &watcher.ops;
}

static void on_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_close((uv_handle_t *)timer, NULL);
}

static void pass_ms(struct pair *p, uint64_t ms)
{
	bool is_over = false;
	uv_timer_t timer;

	uv_timer_init(&p->t.w.loop, &timer);
	timer.data = &is_over;
	uv_timer_start(&timer, on_over, ms, 0);
	await(&p->t.w, is_over);
	turn(&p->t.w); /* its close callback */
}

static void a_silent_peer_is_noticed_and_so_is_its_return(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	watch(p.dialler.s);
	silence(p.accepter.s->conn.fd, true);
	send_data(&p.dialler, &sent, 1000);
	await(&p.t.w, watcher.begun);
	assert_int_equal(p.accepter.data_bytes, 0);
	silence(p.accepter.s->conn.fd, false);
	await(&p.t.w, watcher.ended);
	await(&p.t.w, p.accepter.data_bytes == sent);
	assert_int_equal(watcher.begun, 1);
	assert_int_equal(watcher.ended, 1);
	pair_done(&p);
}

/* The peer's bytes come; ours do not arrive. */
static void silence_in_one_direction_is_enough(void **state)
{
	struct pair p;
	uint64_t sent = 0, other = 0;

	(void)state;
	pair_up(&p, NULL);
	watch(p.dialler.s);
	silence(p.accepter.s->conn.fd, true);
	send_data(&p.dialler, &sent, 1000);
	while (!watcher.begun) {
		if (!p.accepter.is_blocked)
			send_data(&p.accepter, &other, 100);
		turn(&p.t.w);
	}
	assert_true(p.dialler.data_bytes > 0);
	pair_done(&p);
}

static void a_slow_reader_is_none(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	watch(p.dialler.s);
	subflow_pause(p.accepter.s, true);
	for (int turns = 0; turns < 5; turns++) {
		send_until_blocked(&p.dialler, &sent);
		pass_ms(&p, 150);
		subflow_pause(p.accepter.s, false);
		await(&p.t.w, !p.dialler.is_blocked);
		subflow_pause(p.accepter.s, true);
	}
	assert_int_equal(watcher.begun, 0);
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.data_bytes == sent);
	pair_done(&p);
}

static void an_idle_subflow_has_no_timer(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	send_data(&p.dialler, &sent, 1000);
	await(&p.t.w, uv_is_active((uv_handle_t *)&p.dialler.s->look));
	await(&p.t.w, !uv_is_active((uv_handle_t *)&p.dialler.s->look));
	assert_int_equal(p.accepter.data_bytes, sent);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_peer_is_noticed_and_so_is_its_return),
		cmocka_unit_test(silence_in_one_direction_is_enough),
		cmocka_unit_test(a_slow_reader_is_none),
		cmocka_unit_test(an_idle_subflow_has_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
