/* with: tests/unit/io/control_fixture.c */
/* HTTP on the comm socket: what it offers, keep-alive and close, requests in pieces and behind each
 * other, and what is refused. */
#include "control_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* An HTTP answer's head, and its body after it. */
static void expect_http(struct fixture *f, int fd, const char *status, const char *type,
			const char *connection, const char *body)
{
	char text[4096];

	snprintf(text, sizeof(text),
		 "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
		 "%s\r\n\r\n%s",
		 status, type, strlen(body), connection, body);
	expect(f, fd, text);
}

static void health_and_status(void **state)
{
	static const char health[] = "{\"ok\":true,\"live\":true,\"ready\":true,\"degraded\":[]}";
	static const char ill[] = "{\"ok\":true,\"live\":false,\"ready\":true,\"degraded\":[]}\n";
	struct fixture *f = *state;
	int fd = fixture_dial(f);
	char status[512], line[256];

	snprintf(status, sizeof(status),
		 "{\"stats\":{\"ok\":true,\"module\":\"proxy\",\"workers\":1,\"sessions\":"
		 "{\"open\":3}},\"health\":%s}\n",
		 health);
	snprintf(line, sizeof(line), "%s\n", health);
	say_text(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /status?x HTTP/1.1\r\n\r\n");
	expect_http(f, fd, "200 OK", "application/json", "keep-alive", line);
	expect_http(f, fd, "200 OK", "application/json", "keep-alive", status);
	f->is_dead = true;
	say_text(fd, "GET /healthz HTTP/1.1\r\n\r\n");
	expect_http(f, fd, "503 Service Unavailable", "application/json", "keep-alive", ill);
	assert_int_equal(f->asked_count, 4);
	close(fd);
}

static void metrics_are_prometheus_text(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "GET http://module:1/metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
	expect_http(f, fd, "200 OK", "text/plain; version=0.0.4; charset=utf-8", "close",
		    "# HELP mpp_info What runs here; always 1.\n"
		    "# TYPE mpp_info gauge\n"
		    "mpp_info{module=\"proxy\",version=\"\",scheduler=\"\"} 1\n"
		    "# HELP mpp_draining 1 while the module drains before it ends.\n"
		    "# TYPE mpp_draining gauge\n"
		    "mpp_draining 0\n"
		    "# HELP mpp_ready 1 while there is a way end to end.\n"
		    "# TYPE mpp_ready gauge\n"
		    "mpp_ready 1\n"
		    "# HELP mpp_workers Worker threads.\n"
		    "# TYPE mpp_workers gauge\n"
		    "mpp_workers 1\n"
		    "# HELP mpp_sessions_open Sessions that are open.\n"
		    "# TYPE mpp_sessions_open gauge\n"
		    "mpp_sessions_open 3\n");
	expect_end(f, fd, "");
	assert_int_equal(f->asked_count, 2);
}

static void head_has_no_body(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "HEAD /healthz HTTP/1.0\r\n\r\n");
	expect_end(f, fd,
		   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		   "Content-Length: 51\r\nConnection: close\r\n\r\n");
}

static void a_request_in_pieces(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	say_text(fd, "HEAD /nothing HTTP/1.1\r\n\r\nGET /heal");
	expect(f, fd,
	       "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
	       "Content-Length: 50\r\nConnection: keep-alive\r\n\r\n");
	for (const char *at = "thz HTTP/1.1\r\nA: b\r\n\r\n"; *at; at++) {
		assert_int_equal(f->asked_count, 0);
		say(fd, at, 1);
		fixture_turn(f, -1);
	}
	wait_asked(f, 1);
	close(fd);
}

static void what_http_does_not_offer(void **state)
{
	struct fixture *f = *state;
	static const char not_found[] = "not found, expected /metrics, /healthz or /status\n";
	int fd = fixture_dial(f);

	say_text(fd, "GET / HTTP/1.1\r\n\r\nGET /metricsx HTTP/1.1\r\nConnection: close\r\n\r\n");
	expect_http(f, fd, "404 Not Found", "text/plain; charset=utf-8", "keep-alive", not_found);
	expect_http(f, fd, "404 Not Found", "text/plain; charset=utf-8", "close", not_found);
	expect_end(f, fd, "");
	fd = fixture_dial(f);
	say_text(fd, "POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
	expect_end(f, fd,
		   "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n"
		   "Content-Length: 21\r\nConnection: close\r\nAllow: GET, HEAD\r\n\r\n"
		   "expected GET or HEAD\n");
	assert_int_equal(f->asked_count, 0);
}

static void bad_http_is_refused(void **state)
{
	static const char *const requests[] = {"HELO there\r\n", "GET / HTTP/x\r\n\r\n",
					       "GET / HTTP/1.1\r\nContent-Length: a\r\n\r\n",
					       "GET \x01 HTTP/1.1\r\n\r\n"};
	struct fixture *f = *state;
	char heard[512];

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int fd = fixture_dial(f);

		say_text(fd, requests[i]);
		assert_true(hear(f, fd, heard, sizeof(heard) - 1));
		heard[24] = '\0';
		assert_string_equal(heard, "HTTP/1.1 400 Bad Request");
		close(fd);
	}
	assert_int_equal(f->asked_count, 0);
}

static void too_large_a_head_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);
	char heard[512];

	say_text(fd, "GET / HTTP/1.1\r\nA: ");
	say_much(f, fd, 'x', 4 * CONTROL_LINE_MAX);
	assert_true(hear(f, fd, heard, sizeof(heard) - 1));
	assert_non_null(strstr(heard, "400 Bad Request"));
	assert_non_null(strstr(heard, "the request is too long\n"));
	close(fd);
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
		TEST(health_and_status),
		UNIX(health_and_status),
		TEST(metrics_are_prometheus_text),
		UNIX(metrics_are_prometheus_text),
		TEST(head_has_no_body),
		UNIX(head_has_no_body),
		TEST(a_request_in_pieces),
		UNIX(a_request_in_pieces),
		TEST(what_http_does_not_offer),
		UNIX(what_http_does_not_offer),
		TEST(bad_http_is_refused),
		UNIX(bad_http_is_refused),
		TEST(too_large_a_head_is_refused),
		UNIX(too_large_a_head_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
