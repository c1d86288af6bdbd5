/* The dialer: a connection, a refusal, a name with several addresses, a peer that swallows SYNs,
 * and giving up at each stage. */
#include "loop.h"

#include "common/io/dialer.h"

#include <errno.h>
#include <fcntl.h>

struct outcome {
	unsigned int calls;
	int fd, err;
	char why[512];
};

static void on_done(void *user, int fd, int err, const char *why)
{
	struct outcome *o = user;

	o->calls++;
	o->fd = fd;
	o->err = err;
	snprintf(o->why, sizeof(o->why), "%s", why);
}

static struct outcome dial(const char *host, uint16_t port, uint32_t timeout_ms)
{
	struct turner t;
	struct outcome o = {0};

	turner_init(&t);
	assert_non_null(dialer_start(&t.w, host, port, timeout_ms, on_done, &o));
	assert_int_equal(o.calls, 0);
	await(&t.w, o.calls);
	turner_done(&t);
	assert_int_equal(o.calls, 1);
	return o;
}

static void expect_connected(const char *host)
{
	uint16_t port;
	int listener = loopback_listen(8, &port);
	struct outcome o = dial(host, port, 5000);
	int accepted;
	char byte;

	assert_int_equal(o.err, 0);
	accepted = accept(listener, NULL, NULL);
	assert_int_equal(write(o.fd, "x", 1), 1);
	assert_int_equal(read(accepted, &byte, 1), 1);
	assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
	close(o.fd);
	close(accepted);
	close(listener);
}

static void a_numeric_address(void **state)
{
	(void)state;
	expect_connected("127.0.0.1");
}

/* Where it has ::1 as well, that one refuses and the next is tried. */
static void a_name(void **state)
{
	(void)state;
	expect_connected("localhost");
}

static void a_refusal_names_the_address(void **state)
{
	uint16_t port;
	int bound = loopback_listen(-1, &port);
	struct outcome o = dial("127.0.0.1", port, 5000);
	char expected[64];

	(void)state;
	assert_int_equal(o.fd, -1);
	assert_int_equal(o.err, -ECONNREFUSED);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u: connection refused", port);
	assert_string_equal(o.why, expected);
	close(bound);
}

static void a_name_that_is_none(void **state)
{
	struct outcome o = dial("not..a.name", 80, 5000);

	(void)state;
	assert_int_equal(o.fd, -1);
	assert_true(o.err < 0);
	assert_non_null(strstr(o.why, "not..a.name: "));
}

/* A listener whose queue is full drops SYNs. Returns how many descriptors are in `ret_fds`. */
static size_t fill_queue(uint16_t port, int ret_fds[8])
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons(port)};

	for (size_t i = 0; i < 8; i++) {
		ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(ret_fds[i], (struct sockaddr *)&a, sizeof(a)); /* EINPROGRESS */
	}
	return 8;
}

static void silence_ends_in_time(void **state)
{
	uint16_t port;
	int fds[8];
	int listener = loopback_listen(0, &port);
	size_t count = fill_queue(port, fds);
	struct outcome o = dial("127.0.0.1", port, 100);

	(void)state;
	assert_int_equal(o.fd, -1);
	assert_int_equal(o.err, -ETIMEDOUT);
	assert_non_null(strstr(o.why, "127.0.0.1:"));
	while (count)
		close(fds[--count]);
	close(listener);
}

static void cancelled_at_once_and_under_way(void **state)
{
	struct turner t;
	struct outcome o = {0};
	struct dialer *d;
	uint16_t port;
	int fds[8];
	int listener = loopback_listen(0, &port);
	size_t count = fill_queue(port, fds);

	(void)state;
	turner_init(&t);
	dialer_cancel(dialer_start(&t.w, "127.0.0.1", port, 5000, on_done, &o));
	d = dialer_start(&t.w, "127.0.0.1", port, 5000, on_done, &o);
	uv_run(&t.w.loop, UV_RUN_NOWAIT);
	dialer_cancel(d);
	d = dialer_start(&t.w, "localhost", port, 5000, on_done, &o);
	uv_run(&t.w.loop, UV_RUN_NOWAIT);
	dialer_cancel(d);
	turner_done(&t);
	assert_int_equal(o.calls, 0);
	while (count)
		close(fds[--count]);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_numeric_address),
		cmocka_unit_test(a_name),
		cmocka_unit_test(a_refusal_names_the_address),
		cmocka_unit_test(a_name_that_is_none),
		cmocka_unit_test(silence_ends_in_time),
		cmocka_unit_test(cancelled_at_once_and_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
