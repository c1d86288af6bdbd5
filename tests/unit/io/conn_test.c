/* The connection: lazy interest, one-shot writability, bytes before errors, resets, and closing
 * from within its own callbacks. */
#include "loop.h"

#include "common/io/conn.h"

#include <errno.h>
#include <fcntl.h>

struct end {
	struct conn c;
	char bytes[256];
	size_t len;
	ssize_t last; /* of conn_read: 0 or an error that ended it */
	unsigned int readable, writable, lost;
	bool closes_when_readable, has_ended, is_closed;
};

static void on_readable(struct conn *c)
{
	struct end *e = c->user;
	ssize_t n;

	e->readable++;
	if (e->closes_when_readable) {
		conn_close(c);
		return;
	}
	while ((n = conn_read(c, e->bytes + e->len, sizeof(e->bytes) - e->len)) > 0)
		e->len += (size_t)n;
	if (n == -EAGAIN)
		return;
	e->last = n;
	e->has_ended = true;
	conn_want_read(c, false);
}

static void on_writable(struct conn *c)
{
	((struct end *)c->user)->writable++;
}

static void on_closed(struct conn *c)
{
	((struct end *)c->user)->is_closed = true;
}

static void on_lost(struct conn *c)
{
	((struct end *)c->user)->lost++;
}

static const struct conn_ops ops = {.readable = on_readable,
				    .writable = on_writable,
				    .closed = on_closed};
static const struct conn_ops watching_ops = {.readable = on_readable,
					     .writable = on_writable,
					     .closed = on_closed,
					     .lost = on_lost};

/* Returns the peer's descriptor. */
static int open_end(struct turner *t, struct end *e)
{
	int fds[2];

	tcp_pair(fds);
	*e = (struct end){0};
	assert_int_equal(conn_open_take(&e->c, &t->w, fds[0], &ops, e), 0);
	return fds[1];
}

static void close_end(struct turner *t, struct end *e)
{
	conn_close(&e->c);
	conn_close(&e->c);
	await(&t->w, e->is_closed);
}

static void interest_in_reading_shrinks_only_when_an_event_comes(void **state)
{
	struct turner t;
	struct end e;
	int peer;

	(void)state;
	turner_init(&t);
	peer = open_end(&t, &e);
	conn_want_read(&e.c, true);
	assert_int_equal(write(peer, "abc", 3), 3);
	await(&t.w, e.len == 3);
	conn_want_read(&e.c, false);
	assert_int_equal(e.c.events, UV_READABLE);
	assert_int_equal(write(peer, "def", 3), 3);
	await(&t.w, e.c.events == 0);
	assert_int_equal(e.len, 3);
	conn_want_read(&e.c, true);
	await(&t.w, e.len == 6);
	assert_memory_equal(e.bytes, "abcdef", 6);
	close(peer);
	await(&t.w, e.has_ended);
	assert_int_equal(e.last, 0);
	close_end(&t, &e);
	turner_done(&t);
}

static size_t write_until_blocked(struct end *e)
{
	static char block[65536];
	struct iovec parts[2] = {{block, 1000}, {block, sizeof(block)}};
	size_t sum = 0;
	ssize_t n;

	while ((n = conn_writev(&e->c, parts, 2)) > 0)
		sum += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	return sum;
}

static void writable_comes_once_after_a_block(void **state)
{
	static char block[1 << 20];
	struct turner t;
	struct end e;
	size_t left;
	int peer;

	(void)state;
	turner_init(&t);
	peer = open_end(&t, &e);
	left = write_until_blocked(&e);
	conn_want_write(&e.c);
	uv_run(&t.w.loop, UV_RUN_NOWAIT);
	assert_int_equal(e.writable, 0);
	while (left) {
		ssize_t n = read(peer, block, sizeof(block));

		assert_true(n > 0);
		left -= (size_t)n;
	}
	await(&t.w, e.writable == 1);
	await(&t.w, e.c.events == 0);
	assert_int_equal(e.writable, 1);
	close(peer);
	close_end(&t, &e);
	turner_done(&t);
}

/* It reads: "last", then what stands behind it. */
static void await_last_then(struct turner *t, struct end *e, ssize_t end)
{
	conn_want_read(&e->c, true);
	await(&t->w, e->has_ended);
	assert_int_equal(e->last, end);
	assert_int_equal(e->len, 4);
}

static void bytes_come_before_the_reset_behind_them(void **state)
{
	struct turner t;
	struct end e;
	int peer;

	(void)state;
	turner_init(&t);
	peer = open_end(&t, &e);
	assert_int_equal(write(peer, "last", 4), 4);
	close_with_reset(peer);
	await_last_then(&t, &e, -ECONNRESET);
	close_end(&t, &e);
	turner_done(&t);
}

/* Bytes that nobody takes, then a reset or an end behind them. */
static void open_unread(struct turner *t, struct end *e, int *ret_peer)
{
	*ret_peer = open_end(t, e);
	e->c.ops = &watching_ops;
	conn_want_read(&e->c, true);
	conn_want_read(&e->c, false);
	assert_int_equal(write(*ret_peer, "last", 4), 4);
	await(&t->w, e->c.events == UV_DISCONNECT);
}

static void a_reset_is_noticed_while_reading_is_off(void **state)
{
	struct turner t;
	struct end e;
	int peer;

	(void)state;
	turner_init(&t);
	open_unread(&t, &e, &peer);
	close_with_reset(peer);
	await(&t.w, e.lost == 1);
	assert_int_equal(e.c.events, 0);
	await_last_then(&t, &e, -ECONNRESET);
	assert_int_equal(e.lost, 1);
	close_end(&t, &e);
	turner_done(&t);
}

static void an_end_is_no_loss_and_is_watched_for_once(void **state)
{
	struct turner t;
	struct end e;
	int peer;

	(void)state;
	turner_init(&t);
	open_unread(&t, &e, &peer);
	close(peer);
	await(&t.w, e.c.events == 0);
	assert_int_equal(e.lost, 0);
	await_last_then(&t, &e, 0);
	await(&t.w, e.c.events == 0);
	close_end(&t, &e);
	turner_done(&t);
}

static void an_abortive_close_is_a_reset(void **state)
{
	struct turner t;
	struct end e;
	char byte;
	int peer;

	(void)state;
	turner_init(&t);
	peer = open_end(&t, &e);
	conn_set_abortive(&e.c, true);
	close_end(&t, &e);
	assert_int_equal(read(peer, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(peer);

	peer = open_end(&t, &e);
	conn_set_abortive(&e.c, true);
	conn_set_abortive(&e.c, false);
	close_end(&t, &e);
	assert_int_equal(read(peer, &byte, 1), 0);
	close(peer);
	turner_done(&t);
}

static void it_may_be_closed_while_it_reads(void **state)
{
	struct turner t;
	struct end e;
	int peer;

	(void)state;
	turner_init(&t);
	peer = open_end(&t, &e);
	e.closes_when_readable = true;
	conn_want_read(&e.c, true);
	conn_want_write(&e.c);
	assert_int_equal(write(peer, "x", 1), 1);
	await(&t.w, e.is_closed);
	assert_int_equal(e.readable, 1);
	close(peer);
	turner_done(&t);
}

static void a_descriptor_that_cannot_be_polled_is_closed(void **state)
{
	struct turner t;
	struct end e = {0};
	FILE *file = tmpfile();
	int fd = dup(fileno(file));

	(void)state;
	turner_init(&t);
	assert_true(conn_open_take(&e.c, &t.w, fd, &ops, &e) < 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_false(e.is_closed);
	fclose(file);
	turner_done(&t);
}

static void expect_text(int family, const char *ip, const char *expected)
{
	struct sockaddr_storage a = {.ss_family = (sa_family_t)family};
	struct sockaddr_in *in = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a;
	char text[ADDRESS_TEXT_MAX];

	if (family == AF_INET) {
		in->sin_port = htons(8080);
		inet_pton(AF_INET, ip, &in->sin_addr);
	} else {
		in6->sin6_port = htons(8080);
		inet_pton(AF_INET6, ip, &in6->sin6_addr);
	}
	sockaddr_text(&a, text);
	assert_string_equal(text, expected);
}

static void addresses_as_text(void **state)
{
	struct sockaddr_storage unknown = {.ss_family = AF_UNIX};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	expect_text(AF_INET, "10.0.0.1", "10.0.0.1:8080");
	expect_text(AF_INET6, "2001:db8::1", "[2001:db8::1]:8080");
	expect_text(AF_INET6, "::ffff:10.0.0.1", "10.0.0.1:8080");
	sockaddr_text(&unknown, text);
	assert_string_equal(text, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interest_in_reading_shrinks_only_when_an_event_comes),
		cmocka_unit_test(writable_comes_once_after_a_block),
		cmocka_unit_test(bytes_come_before_the_reset_behind_them),
		cmocka_unit_test(a_reset_is_noticed_while_reading_is_off),
		cmocka_unit_test(an_end_is_no_loss_and_is_watched_for_once),
		cmocka_unit_test(an_abortive_close_is_a_reset),
		cmocka_unit_test(it_may_be_closed_while_it_reads),
		cmocka_unit_test(a_descriptor_that_cannot_be_polled_is_closed),
		cmocka_unit_test(addresses_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
