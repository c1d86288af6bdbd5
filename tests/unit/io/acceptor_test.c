/* The acceptor: a HELLO in any pieces and not a byte more; scanners, other protocols, half and
 * slow HELLOs are turned away with a line, and never keep others out for longer than the limit. */
#include "loop.h"

#include "common/io/acceptor.h"
#include "common/io/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#define HELLO_BYTES_MAX (FRAME_HEADER_BYTES + HELLO_PAYLOAD_MAX)

struct acceptance {
	struct turner t;
	struct acceptor *acceptor;
	struct capture log;
	uint16_t port;
	unsigned int hellos;
	uint64_t rejected;
	int fd;
	struct hello hello;
	struct sockaddr_storage from;
};

static void on_hello(void *user, int fd, const struct hello *hello,
		     const struct sockaddr_storage *from)
{
	struct acceptance *g = user;

	g->hellos++;
	g->fd = fd;
	g->hello = *hello;
	g->from = *from;
}

static void acceptance_open(struct acceptance *g, uint32_t hello_wait_ms)
{
	char why[256];
	int fd;

	*g = (struct acceptance){.fd = -1};
	turner_init(&g->t);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	assert_int_equal(listener_bind("127.0.0.1", 0, &fd, why), 0);
	g->port = socket_port(fd);
	assert_int_equal(acceptor_open(&g->t.w.loop, fd, "gate", hello_wait_ms, on_hello, g,
				       &g->rejected, &g->acceptor),
			 0);
	close(fd);
	capture_start(&g->log);
}

static void acceptance_close(struct acceptance *g)
{
	acceptor_close(g->acceptor);
	turner_done(&g->t);
	capture_stop(&g->log);
	fclose(g->log.file);
}

static struct hello good_hello(void)
{
	return (struct hello){.version_min = FRAME_VERSION,
			      .version_max = FRAME_VERSION,
			      .hops_left = HOP_LIMIT,
			      .tunnel = {{1, 2, 3}},
			      .generation = 7,
			      .payload_max = FRAME_PAYLOAD_DEFAULT,
			      .nonce = {9}};
}

static size_t encode(const struct hello *h, uint8_t out[HELLO_BYTES_MAX])
{
	size_t len = hello_encode(h, out + FRAME_HEADER_BYTES, HELLO_PAYLOAD_MAX);
	struct frame head = {.type = FRAME_HELLO, .len = (uint32_t)len};

	frame_encode(&head, out);
	return FRAME_HEADER_BYTES + len;
}

static void send_all(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* The other end has hung up, in whichever way. */
static bool is_hung_up(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return !n || (n < 0 && errno == ECONNRESET);
}

static void a_hello_and_not_a_byte_more(void **state)
{
	struct acceptance g;
	struct hello hello = good_hello();
	uint8_t bytes[HELLO_BYTES_MAX];
	size_t len = encode(&hello, bytes);
	char behind[8] = "";
	int fd;

	(void)state;
	acceptance_open(&g, 5000);
	fd = loopback_connect(g.port);
	send_all(fd, bytes, len);
	send_all(fd, "behind", 6);
	await(&g.t.w, g.hellos);
	assert_memory_equal(&g.hello.tunnel, &hello.tunnel, sizeof(hello.tunnel));
	assert_int_equal(g.hello.generation, 7);
	assert_int_equal(g.from.ss_family, AF_INET);
	assert_int_equal(recv(g.fd, behind, 6, MSG_WAITALL), 6);
	assert_string_equal(behind, "behind");
	close(g.fd);
	close(fd);
	assert_int_equal(capture_count(&g.log, "rejected"), 0);
	acceptance_close(&g);
}

/* All that was sent on `fd` has been read by the acceptor. */
static bool is_read(int fd)
{
	int unacked;

	assert_int_equal(ioctl(fd, TIOCOUTQ, &unacked), 0);
	return !unacked;
}

static void a_hello_byte_by_byte(void **state)
{
	struct acceptance g;
	struct hello hello = good_hello();
	uint8_t bytes[HELLO_BYTES_MAX];
	size_t len = encode(&hello, bytes);
	int fd, one = 1;

	(void)state;
	acceptance_open(&g, 5000);
	fd = loopback_connect(g.port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(g.hellos, 0);
		send_all(fd, &bytes[i], 1);
		while (!is_read(fd))
			uv_run(&g.t.w.loop, UV_RUN_NOWAIT);
		uv_run(&g.t.w.loop, UV_RUN_NOWAIT);
	}
	await(&g.t.w, g.hellos);
	close(g.fd);
	close(fd);
	acceptance_close(&g);
}

/* What is rejected for these bytes, with `says` in its line. */
static void expect_rejected(const void *bytes, size_t len, bool closes, const char *says)
{
	struct acceptance g;
	int fd;

	acceptance_open(&g, 100);
	fd = loopback_connect(g.port);
	if (len)
		send_all(fd, bytes, len);
	if (closes)
		shutdown(fd, SHUT_WR);
	await(&g.t.w, is_hung_up(fd));
	assert_int_equal(g.hellos, 0);
	assert_int_equal(capture_count(&g.log, "rejected 127.0.0.1:"), 1);
	assert_int_equal(capture_count(&g.log, says), 1);
	close(fd);
	acceptance_close(&g);
}

static void what_is_no_hello_is_rejected(void **state)
{
	static const uint8_t tls[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
	static const char http[] = "GET / HTTP/1.0\r\n\r\n and some more to make a header of it";
	struct hello hello = good_hello();
	uint8_t bytes[HELLO_BYTES_MAX];
	size_t len;

	(void)state;
	expect_rejected(tls, sizeof(tls), false, "byte 0x16");
	expect_rejected(http, sizeof(http), false, "byte 0x47");
	expect_rejected("", 0, true, "closed after 0 bytes");

	len = encode(&hello, bytes);
	expect_rejected(bytes, len - 1, true, "closed after 70 bytes");
	expect_rejected(bytes, len - 1, false, "70 bytes in 100 ms");
	expect_rejected("", 0, false, "0 bytes in 100 ms");
	bytes[5] = 1; /* the length of its payload */
	expect_rejected(bytes, len, false, "header of its HELLO is malformed");
	len = encode(&hello, bytes);
	bytes[FRAME_HEADER_BYTES] = 'x'; /* of the magic */
	expect_rejected(bytes, len, false, "its HELLO is malformed");

	hello.version_min = FRAME_VERSION + 1;
	hello.version_max = FRAME_VERSION + 2;
	expect_rejected(bytes, encode(&hello, bytes), false, "versions 2 to 3; expected 1");
	hello = good_hello();
	hello.hops_left = 0;
	expect_rejected(bytes, encode(&hello, bytes), false, "the chain is a loop");
}

static void a_reset_is_rejected(void **state)
{
	struct acceptance g;
	int fd;

	(void)state;
	acceptance_open(&g, 5000);
	fd = loopback_connect(g.port);
	send_all(fd, "\x81", 1);
	uv_run(&g.t.w.loop, UV_RUN_NOWAIT);
	close_with_reset(fd);
	await(&g.t.w, capture_count(&g.log, "connection reset by peer before its HELLO") == 1);
	acceptance_close(&g);
}

/* More silent connections than may wait: the good one behind them has its turn when they have
 * timed out. */
static void silent_ones_keep_nobody_out_for_long(void **state)
{
	struct acceptance g;
	struct hello hello = good_hello();
	uint8_t bytes[HELLO_BYTES_MAX];
	int fds[HELLO_PENDING_MAX + 20];
	size_t count = sizeof(fds) / sizeof(fds[0]);
	int fd;

	(void)state;
	acceptance_open(&g, 200);
	for (size_t i = 0; i < count; i++)
		fds[i] = loopback_connect(g.port);
	fd = loopback_connect(g.port);
	send_all(fd, bytes, encode(&hello, bytes));
	await(&g.t.w, g.hellos);
	assert_true(is_hung_up(fds[0]));
	assert_true(is_hung_up(fds[19]));
	assert_true(capture_count(&g.log, "rejected 127") <= 2 * REJECT_LINES_MAX);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	close(g.fd);
	close(fd);
	acceptance_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_and_not_a_byte_more),
		cmocka_unit_test(a_hello_byte_by_byte),
		cmocka_unit_test(what_is_no_hello_is_rejected),
		cmocka_unit_test(a_reset_is_rejected),
		cmocka_unit_test(silent_ones_keep_nobody_out_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
