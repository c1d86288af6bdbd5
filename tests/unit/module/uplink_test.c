/* An uplink and backends that the test plays on raw sockets: one that falls silent, and what
 * becomes of the connection that is dialled beside it. */
/* with: tests/unit/io/subflow_pair.c */
#include "../io/subflow_pair.h"

#include "../io/silence.h"

#include "common/module/uplink.h"

#include <stdlib.h>

struct fixture {
	struct turner t;
	struct uplink uplink;
	int listener;
	uint16_t port;
	bool refuses; /* what comes up is not acceptable */
	bool is_closed;
	unsigned int ups, downs, stalls, recoveries;
	char events[64]; /* one letter each */
	char why[128];
};

static void note(struct fixture *f, char event)
{
	size_t len = strlen(f->events);

	assert_true(len + 1 < sizeof(f->events));
	f->events[len] = event;
}

static void on_hello(struct uplink *u, struct hello *ret)
{
	(void)u;
	*ret = make_hello();
}

static bool on_up(struct uplink *u, const struct hello_ack *ack)
{
	struct fixture *f = u->user;

	(void)ack;
	f->ups++;
	note(f, 'u');
	return !f->refuses;
}

static int on_frame(struct uplink *u, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	(void)u, (void)head, (void)control, (void)data;
	return 0;
}

static void on_room(struct uplink *u)
{
	(void)u;
}

static void on_stalled(struct uplink *u, bool is_stalled)
{
	struct fixture *f = u->user;

	assert_true(u->is_up);
	f->stalls += is_stalled;
	f->recoveries += !is_stalled;
	note(f, is_stalled ? 's' : 'r');
}

static void on_down(struct uplink *u, const char *why)
{
	struct fixture *f = u->user;

	f->downs++;
	snprintf(f->why, sizeof(f->why), "%s", why);
	note(f, 'd');
}

static void on_closed(struct uplink *u)
{
	((struct fixture *)u->user)->is_closed = true;
}

static const struct uplink_ops ops = {
	.hello = on_hello,
	.up = on_up,
	.frame = on_frame,
	.blocked = on_room,
	.room = on_room,
	.stalled = on_stalled,
	.down = on_down,
	.closed = on_closed,
};

static const struct subflow_key no_key;

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct conf_address backend = {.host = "127.0.0.1", .ratio = 1};

	turner_init(&f->t);
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	f->listener = loopback_listen(8, &f->port);
	backend.port = f->port;
	uplink_open(&f->uplink, &f->t.w, &backend, &no_key, &ops, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	uplink_close(&f->uplink, false);
	await(&f->t.w, f->is_closed);
	close(f->listener);
	turner_done(&f->t);
	free(f);
	return 0;
}

/* ---- the backend ---- */

static int accept_one(struct fixture *f)
{
	struct pollfd p = {.fd = f->listener, .events = POLLIN};
	int fd;

	await(&f->t.w, poll(&p, 1, 0) > 0);
	fd = accept(f->listener, NULL, NULL);
	assert_return_code(fd, 0);
	return fd;
}

static void answer(struct fixture *f, int fd)
{
	uint8_t payload[HELLO_ACK_PAYLOAD_MAX], bytes[FRAME_HEADER_BYTES + HELLO_ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_HELLO_ACK};
	struct hello_ack ack = make_ack();
	struct pollfd p = {.fd = fd, .events = POLLIN};

	await(&f->t.w, poll(&p, 1, 0) > 0); /* its HELLO */
	head.len = (uint32_t)hello_ack_encode(&ack, payload, sizeof(payload));
	send_all(fd, bytes, encode_frame(&head, payload, bytes));
}

static int accept_up(struct fixture *f)
{
	unsigned int ups = f->ups;
	int fd = accept_one(f);

	answer(f, fd);
	await(&f->t.w, f->ups > ups);
	return fd;
}

/* From now on nothing gets through, and something is under way. */
static void begin_stall(struct fixture *f, int fd)
{
	static const struct frame head = {.type = FRAME_DRAIN};

	silence(fd, true);
	subflow_send(f->uplink.subflow, &head, NULL, NULL);
	await(&f->t.w, f->stalls);
}

static void a_fresh_connection_replaces_a_stalled_one(void **state)
{
	struct fixture *f = *state;
	int old = accept_up(f), fresh;

	begin_stall(f, old);
	assert_null(f->uplink.fresh);
	fresh = accept_up(f);
	assert_string_equal(f->events, "usdu");
	assert_string_equal(f->why, "stalled; a fresh connection is up");
	assert_true(f->uplink.is_up && !f->uplink.is_stalled);
	assert_null(f->uplink.fresh);
	assert_int_equal(f->uplink.redials, 1);
	assert_int_equal(f->uplink.losses, 1);
	assert_int_equal(f->uplink.stalls, 1);
	close(old);
	close(fresh);
}

static void attempts_follow_each_other(void **state)
{
	struct fixture *f = *state;
	int old = accept_up(f), first, second;
	char byte;

	begin_stall(f, old);
	first = accept_one(f); /* and does not answer */
	second = accept_one(f);
	assert_int_equal(f->uplink.dials, 3);
	/* One at a time: the first has been closed. */
	while (recv(first, &byte, 1, 0) > 0)
		continue;
	answer(f, second);
	await(&f->t.w, f->ups == 2);
	close(old);
	close(first);
	close(second);
}

/* The test answers a PING so late that the hop looks long. */
static void answer_late(struct fixture *f, int fd, uint64_t late_ms)
{
	uint8_t hello[FRAME_HEADER_BYTES + HELLO_PAYLOAD_MAX];
	uint8_t bytes[FRAME_HEADER_BYTES + sizeof(uint64_t)];
	uint64_t until_us;

	assert_in_range(recv(fd, hello, sizeof(hello), 0), FRAME_HEADER_BYTES, sizeof(hello));
	await(&f->t.w, recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == sizeof(bytes));
	assert_int_equal(bytes[0], FRAME_PING);
	until_us = clock_now_us() + late_ms * US_PER_MS;
	await(&f->t.w, clock_now_us() >= until_us);
	bytes[0] = FRAME_PONG;
	send_all(fd, bytes, sizeof(bytes));
	await(&f->t.w, subflow_hop_least_us(f->uplink.subflow) >= late_ms * US_PER_MS);
}

/* Connecting and HELLO take two round trips: the first subflow's RTT counts while it is there. */
static void on_a_long_hop_an_attempt_lives_longer(void **state)
{
	enum { RTT_MS = 300 };
	struct fixture *f = *state;
	int old = accept_up(f), fresh;
	uint64_t until_us;

	answer_late(f, old, RTT_MS);
	begin_stall(f, old);
	fresh = accept_one(f);
	until_us = clock_now_us() + 2 * RTT_MS * US_PER_MS;
	await(&f->t.w, clock_now_us() >= until_us);
	answer(f, fresh);
	await(&f->t.w, f->ups == 2);
	assert_int_equal(f->uplink.dials, 2);
	assert_int_equal(f->uplink.redials, 1);
	close(old);
	close(fresh);
}

static void recovery_drops_the_attempt(void **state)
{
	struct fixture *f = *state;
	int old = accept_up(f), fresh;
	char byte;

	begin_stall(f, old);
	fresh = accept_one(f);
	silence(old, false);
	await(&f->t.w, f->recoveries);
	assert_null(f->uplink.fresh);
	while (recv(fresh, &byte, 1, 0) > 0)
		continue;
	assert_true(f->uplink.is_up);
	assert_string_equal(f->events, "usr");
	assert_int_equal(f->uplink.redials, 0);
	close(old);
	close(fresh);
}

static void a_stalled_one_may_die_before_another_is_up(void **state)
{
	struct fixture *f = *state;
	int old = accept_up(f), fresh, next;

	begin_stall(f, old);
	fresh = accept_one(f);
	close_with_reset(old);
	await(&f->t.w, f->downs);
	assert_null(f->uplink.fresh);
	next = accept_up(f);
	assert_string_equal(f->events, "usdu");
	assert_int_equal(f->uplink.redials, 0);
	close(fresh);
	close(next);
}

static void a_fresh_one_may_not_be_acceptable(void **state)
{
	struct fixture *f = *state;
	int old = accept_up(f), fresh;

	begin_stall(f, old);
	f->refuses = true;
	fresh = accept_up(f);
	assert_string_equal(f->events, "usdu");
	assert_false(f->uplink.is_up);
	assert_null(f->uplink.subflow);
	f->refuses = false;
	close(old);
	old = accept_up(f); /* it is dialled again */
	assert_true(f->uplink.is_up);
	close(old);
	close(fresh);
}

/* Silent between the connect and the answer: nobody waits for an answer that cannot come. */
static void a_handshake_that_stalls_is_begun_anew(void **state)
{
	struct fixture *f = *state;
	int old, next;

	old = accept_one(f); /* the loop has not seen its connect end, so HELLO is not sent yet */
	silence(old, true);
	next = accept_up(f);
	assert_string_equal(f->events, "u");
	assert_int_equal(f->uplink.dials, 2);
	close(old);
	close(next);
}

static void at_rest_it_does_not_dial(void **state)
{
	struct fixture *f = *state;
	int old = accept_up(f), next;
	char byte;

	uplink_rest(&f->uplink, "drained");
	assert_null(f->uplink.subflow);
	assert_string_equal(uplink_trouble(&f->uplink), "drained");
	assert_false(uv_is_active((uv_handle_t *)&f->uplink.timer));
	turn(&f->t.w);
	while (recv(old, &byte, 1, 0) > 0)
		continue;
	close(old);
	assert_int_equal(f->uplink.dials, 1);
	uplink_wake(&f->uplink);
	uplink_wake(&f->uplink);
	next = accept_up(f);
	assert_int_equal(f->uplink.dials, 2);
	assert_string_equal(f->events, "uu");
	close(next);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_fresh_connection_replaces_a_stalled_one),
		test(attempts_follow_each_other),
		test(on_a_long_hop_an_attempt_lives_longer),
		test(recovery_drops_the_attempt),
		test(a_stalled_one_may_die_before_another_is_up),
		test(a_fresh_one_may_not_be_acceptable),
		test(a_handshake_that_stalls_is_begun_anew),
		test(at_rest_it_does_not_dial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
