/* with: tests/unit/io/control_fixture.c */
/* The comm socket: the one-byte and the JSON dialect, what is no dialect, limits of time and
 * number, opening and closing. */
#include "common/base/limits.h"
#include "control_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TEST_WAIT_MS 200 /* what a busy machine needs to read a byte that is there */

/* ---- the one-byte dialect ---- */

static void bytes_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say(fd,
	    "13421\x0a\x00\x00\x01\x1b\x58"
	    "1",
	    12);
	expect(f, fd, "67666");
	assert_int_equal(f->asked_count, 5);
	assert_string_equal(f->asked[0], "health_check {}");
	assert_string_equal(f->asked[1], "update_topo {}");
	assert_string_equal(f->asked[2], "reset {}");
	assert_string_equal(f->asked[3], "update_topo_pre {\"addresses\":[{\"host\":\"10.0.0.1\","
					 "\"port\":7000}],\"wait\":false}");
	say_text(fd, "1");
	expect(f, fd, "6");
	close(fd);
	wait_conns(f, 0);
}

static void bytes_may_come_one_by_one(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	for (const char *at = "21\x7f\x01\x01\x01\x01\x01"; *at; at++) {
		assert_int_equal(f->asked_count, 0);
		say(fd, at, 1);
		fixture_turn(f, -1);
	}
	expect(f, fd, "6");
	close(fd);
}

static void close_has_no_reply(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "15");
	expect_end(f, fd, "6");
	assert_string_equal(f->asked[1], "close {}");
}

static void bad_bytes_fail_and_end(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say(fd, "1x11", 4);
	expect_end(f, fd, "67");
	assert_int_equal(f->asked_count, 1);
	fd = fixture_dial(f);
	say(fd, "20", 2);
	expect_end(f, fd, "7");
	assert_int_equal(f->asked_count, 1);
}

/* ---- the JSON dialect ---- */

static void lines_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd,
		 "{\"op\":\"reset\"}\r\n \n{\"op\":\"update_topo\",\"n\":[1]}\n{\"op\":\"x\"}\n");
	expect(f, fd,
	       "{\"ok\":true}\n"
	       "{\"ok\":false,\"code\":\"not_prepared\",\"error\":\"nothing is prepared\"}\n"
	       "{\"ok\":true}\n");
	assert_string_equal(f->asked[1], "update_topo {\"n\":[1],\"op\":\"update_topo\"}");
	close(fd);
	wait_conns(f, 0);
}

static void a_later_answer_holds_the_next_back(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	f->manner = LATER;
	say_text(fd, "{\"op\":\"a\"}\n{\"op\":\"b\"}\n");
	wait_asked(f, 1);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(f->asked_count, 1);
	control_reply_ok(f->kept, json_pack("{s:i}", "n", 1));
	expect(f, fd, "{\"ok\":true,\"n\":1}\n");
	wait_asked(f, 2);
	control_reply_ok(f->kept, json_pack("{s:i, s:b}", "n", 2, "ok", 0));
	expect(f, fd, "{\"ok\":true,\"n\":2}\n");
	close(fd);
}

static void bad_lines_are_answered(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);
	static const char no_op[] = "{\"ok\":false,\"code\":\"bad_request\",\"error\":"
				    "\"expected an object with a string \\\"op\\\"\"}\n";
	static const char bad_byte[] =
		"{\"ok\":false,\"code\":\"bad_request\",\"error\":"
		"\"not JSON after 1 bytes of the line, expected one object\"}\n";
	static const char null_byte[] =
		"{\"ok\":false,\"code\":\"bad_request\",\"error\":"
		"\"not JSON after 2 bytes of the line, expected one object\"}\n";

	say_text(fd, "{}\n{\"op\":1}\n[]\n[\"op\"]\n");
	for (int i = 0; i < 4; i++)
		expect(f, fd, no_op);
	say(fd, "{\xff\n{\0}\n", 7);
	expect(f, fd, bad_byte);
	expect(f, fd, null_byte);
	say_text(fd, "{\"op\":\"ok\"}\n");
	expect(f, fd, "{\"ok\":true}\n");
	assert_int_equal(f->asked_count, 1);
	close(fd);
}

static void broken_utf8_in_an_error_becomes_ascii(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "{\"op\":\"broken_text\"}\n");
	expect(f, fd, "{\"ok\":false,\"code\":\"internal\",\"error\":\"?(\"}\n");
	close(fd);
}

static void the_end_of_the_stream_ends_a_line(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "{\"op\":\"reset\"}");
	shutdown(fd, SHUT_WR);
	expect_end(f, fd, "{\"ok\":true}\n");
	wait_conns(f, 0);
}

static void the_longest_line_fits(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "{\"op\":\"x\"");
	say_much(f, fd, ' ', CONTROL_LINE_MAX - 11);
	say_text(fd, "}\n");
	expect(f, fd, "{\"ok\":true}\n");
	close(fd);
}

/* Most of it is still unread when the module has had enough; the answer arrives all the same. */
static void a_line_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "{\"op\":\"");
	say_much(f, fd, 'x', 4 * CONTROL_LINE_MAX);
	expect_end(
		f, fd,
		"{\"ok\":false,\"code\":\"bad_request\",\"error\":\"the request is too long\"}\n");
	assert_int_equal(f->asked_count, 0);
	wait_conns(f, 0);
}

static void deep_nesting_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);
	char heard[256];

	say_text(fd, "{\"op\":");
	say_much(f, fd, '[', 20000);
	say_text(fd, "\n");
	assert_false(hear(f, fd, heard, 10));
	assert_string_equal(heard, "{\"ok\":fals");
	close(fd);
}

static void disconnecting_while_asked_drops_the_reply(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	f->manner = LATER;
	say_text(fd, "{\"op\":\"reset\"}\n{\"op\":\"reset\"}\n");
	wait_asked(f, 1);
	/* With unread input and a full close the peer answers with a reset. */
	close(fd);
	f->manner = AT_ONCE;
	control_reply_ok(f->kept, NULL);
	wait_conns(f, 0);
}

/* ---- what is no dialect ---- */

static void strangers_are_turned_away(void **state)
{
	static const char *const words[] = {"\x16\x03\x01", "0", "6", "\xff\x81", " {", "get /"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int fd = fixture_dial(f);

		say_text(fd, words[i]);
		expect_end(f, fd, "");
	}
	assert_int_equal(f->asked_count, 0);
	wait_conns(f, 0);
}

/* Every first byte, and behind it bytes from a fixed generator: whatever comes back, the module
 * still answers afterwards. */
static void random_bytes_do_no_harm(void **state)
{
	struct fixture *f = *state;
	uint32_t x = 1;
	int fd;

	for (int first = 0; first < 256; first++) {
		char bytes[300], heard[4096];

		bytes[0] = (char)first;
		for (size_t i = 1; i < sizeof(bytes); i++) {
			x = x * 1664525 + 1013904223;
			bytes[i] = (char)(x >> 24);
		}
		fd = fixture_dial(f);
		say(fd, bytes, sizeof(bytes));
		shutdown(fd, SHUT_WR);
		assert_true(hear(f, fd, heard, sizeof(heard) - 1));
		close(fd);
	}
	wait_conns(f, 0);
	fd = fixture_dial(f);
	say_text(fd, "1");
	expect(f, fd, "6");
	close(fd);
}

static void half_requests_end_with_their_stream(void **state)
{
	static const char *const halves[] = {"2", "22aaaa", "GET /metrics HTTP/1.1\r\nHost"};
	struct fixture *f = *state;
	int fd;

	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		fd = fixture_dial(f);
		say_text(fd, halves[i]);
		shutdown(fd, SHUT_WR);
		expect_end(f, fd, "");
	}
	fd = fixture_dial(f);
	say_text(fd, "{\"op\":");
	shutdown(fd, SHUT_WR);
	expect_end(f, fd,
		   "{\"ok\":false,\"code\":\"bad_request\",\"error\":"
		   "\"not JSON after 6 bytes of the line, expected one object\"}\n");
	wait_conns(f, 0);
}

/* ---- time and number ---- */

static void silence_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->control->wait_ms = TEST_WAIT_MS;
	fd = fixture_dial(f);
	expect_end(f, fd, "");
}

/* One byte at each turn: the time limit counts from the first. */
static void slow_requests_are_cut_off(void **state)
{
	struct fixture *f = *state;
	uint64_t end = fixture_now_ms() + PATIENCE_MS;
	char heard[256];
	int fd;

	f->control->wait_ms = TEST_WAIT_MS;
	fd = fixture_dial(f);
	say_text(fd, "{\"op\":\"");
	do {
		send(fd, "x", 1, MSG_NOSIGNAL);
		fixture_turn(f, -1);
		assert_true(fixture_now_ms() < end);
	} while (recv(fd, heard, 1, MSG_DONTWAIT | MSG_PEEK) < 0);
	expect(f, fd,
	       "{\"ok\":false,\"code\":\"bad_request\",\"error\":"
	       "\"the request did not end in time\"}\n");
	close(fd);
	fd = fixture_dial(f);
	say_text(fd, "22abc");
	expect_end(f, fd, "7");
	assert_int_equal(f->asked_count, 0);
}

static void json_may_rest_the_others_not(void **state)
{
	struct fixture *f = *state;
	int json, byte;

	f->control->wait_ms = TEST_WAIT_MS;
	json = fixture_dial(f);
	say_text(json, "{\"op\":\"x\"}\n");
	expect(f, json, "{\"ok\":true}\n");
	byte = fixture_dial(f);
	say_text(byte, "1");
	expect_end(f, byte, "6");
	say_text(json, "{\"op\":\"x\"}\n");
	expect(f, json, "{\"ok\":true}\n");
	close(json);
}

/* {"text": "xxx..."}, as large a reply as it takes to fill all socket buffers. */
static json_t *large_body(size_t len)
{
	char *text = malloc(len);
	json_t *body;

	memset(text, 'x', len);
	body = json_pack("{s:s%}", "text", text, len);
	free(text);
	return body;
}

static void who_does_not_read_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int size = 4096, fd;

	fd = fixture_dial(f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	f->manner = LATER;
	say_text(fd, "{\"op\":\"x\"}\n");
	wait_asked(f, 1);
	f->control->wait_ms = TEST_WAIT_MS;
	control_reply_ok(f->kept, large_body(32 * MIB));
	wait_conns(f, 0);
	close(fd);
}

static void the_longest_at_rest_makes_room(void **state)
{
	struct fixture *f = *state;
	int fds[CONTROL_CONNECTIONS_MAX], late;

	f->manner = LATER;
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		fds[i] = fixture_dial(f);
		wait_conns(f, (uint32_t)i + 1);
	}
	say_text(fds[0], "1");
	wait_asked(f, 1);
	f->manner = AT_ONCE;
	late = fixture_dial(f);
	say_text(late, "1");
	expect(f, late, "6");
	expect_end(f, fds[1], "");
	wait_conns(f, CONTROL_CONNECTIONS_MAX);
	control_reply_ok(f->kept, NULL);
	expect(f, fds[0], "6");
	close(fds[0]);
	for (size_t i = 2; i < CONTROL_CONNECTIONS_MAX; i++)
		close(fds[i]);
	close(late);
}

/* ---- opening and closing ---- */

static void closing_lets_a_reply_out(void **state)
{
	struct fixture *f = *state;
	int asked = fixture_dial(f), at_rest = fixture_dial(f);

	f->manner = LATER;
	say_text(asked, "{\"op\":\"close\"}\n");
	wait_asked(f, 1);
	wait_conns(f, 2);
	control_close(f->control, fixture_on_closed, f);
	control_reply_ok(f->kept, NULL);
	expect_end(f, asked, "{\"ok\":true}\n");
	expect_end(f, at_rest, "");
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->is_closed);
}

static void closing_forgets_what_is_never_answered(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	f->manner = NEVER;
	say_text(fd, "{\"op\":\"update_topo\"}\n");
	wait_asked(f, 1);
	control_close(f->control, fixture_on_closed, f);
	expect_end(f, fd, "");
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->is_closed);
}

static void a_port_in_use_is_said(void **state)
{
	struct fixture *f = *state;
	struct control *other = NULL;
	char why[256], expected[256];
	uint16_t port = control_port(f->control);

	assert_int_equal(control_open(&f->loop, "127.0.0.1", port, fixture_handle, f, &other, why),
			 -EADDRINUSE);
	assert_null(other);
	snprintf(expected, sizeof(expected),
		 "comm socket: cannot listen on 127.0.0.1:%u: the port is in use; expected a free "
		 "one",
		 port);
	assert_string_equal(why, expected);
	assert_true(control_open(&f->loop, "256.0.0.1", port, fixture_handle, f, &other, why) < 0);
	assert_non_null(strstr(why, "comm socket: cannot listen on 256.0.0.1: "));
	assert_null(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
/* The same at a unix socket. */
#define UNIX(name)                                                              \
	{                                                                       \
#name "_unix", name, fixture_setup_unix, fixture_teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST(bytes_are_answered_in_order),
		TEST(bytes_may_come_one_by_one),
		TEST(close_has_no_reply),
		TEST(bad_bytes_fail_and_end),
		TEST(lines_are_answered_in_order),
		UNIX(lines_are_answered_in_order),
		TEST(a_later_answer_holds_the_next_back),
		UNIX(a_later_answer_holds_the_next_back),
		TEST(bad_lines_are_answered),
		UNIX(bad_lines_are_answered),
		TEST(broken_utf8_in_an_error_becomes_ascii),
		UNIX(broken_utf8_in_an_error_becomes_ascii),
		TEST(the_end_of_the_stream_ends_a_line),
		UNIX(the_end_of_the_stream_ends_a_line),
		TEST(the_longest_line_fits),
		UNIX(the_longest_line_fits),
		TEST(a_line_too_long_is_refused),
		UNIX(a_line_too_long_is_refused),
		TEST(deep_nesting_is_refused),
		UNIX(deep_nesting_is_refused),
		TEST(disconnecting_while_asked_drops_the_reply),
		UNIX(disconnecting_while_asked_drops_the_reply),
		TEST(strangers_are_turned_away),
		TEST(random_bytes_do_no_harm),
		TEST(half_requests_end_with_their_stream),
		TEST(silence_is_cut_off),
		UNIX(silence_is_cut_off),
		TEST(slow_requests_are_cut_off),
		TEST(json_may_rest_the_others_not),
		TEST(who_does_not_read_is_cut_off),
		UNIX(who_does_not_read_is_cut_off),
		TEST(the_longest_at_rest_makes_room),
		TEST(closing_lets_a_reply_out),
		UNIX(closing_lets_a_reply_out),
		TEST(closing_forgets_what_is_never_answered),
		UNIX(closing_forgets_what_is_never_answered),
		TEST(a_port_in_use_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
