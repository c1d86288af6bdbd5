/* with: src/controller/call.c */
/* mpp_controller's exchange with a module: a thread plays the module, from a script of what it
 * sends once it was asked. */
#include "common/base/clock.h"
#include "controller/call.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LONG_MS 20000 /* what no good exchange needs */
#define SHORT_MS 50

struct module {
	pthread_t thread;
	int listener;
	const char *parts[3]; /* of the reply, sent one by one */
	bool repeats;	      /* the last part, until nobody listens */
	bool holds_on;	      /* afterwards, until the caller hangs up */
	char asked[64];
};

static void *run(void *user)
{
	struct module *m = user;
	int fd = accept(m->listener, NULL, NULL), on = 1;
	ssize_t len = recv(fd, m->asked, sizeof(m->asked) - 1, 0);
	char byte;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; len > 0 && i < 3 && m->parts[i]; i++)
		do {
			len = send(fd, m->parts[i], strlen(m->parts[i]), MSG_NOSIGNAL);
		} while (len > 0 && m->repeats);
	if (m->holds_on && recv(fd, &byte, 1, 0) > 0)
		m->asked[0] = '\0'; /* asked twice */
	close(fd);
	return NULL;
}

static uint16_t start(struct module *m)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(m->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(m->listener, 1), 0);
	assert_int_equal(getsockname(m->listener, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(pthread_create(&m->thread, NULL, run, m), 0);
	return ntohs(sa.sin_port);
}

/* The result of one exchange; `why` is compared when there is no reply. */
static int call(struct module *m, uint32_t timeout_ms, const char *expected)
{
	json_t *request = json_pack("{s:s}", "op", "reset"), *reply = NULL;
	uint16_t port = start(m);
	char why[CALL_WHY_MAX] = "", *text;
	int rc = call_module("127.0.0.1", port, request, timeout_ms, &reply, why);

	pthread_join(m->thread, NULL);
	close(m->listener);
	json_decref(request);
	assert_string_equal(m->asked, "{\"op\":\"reset\"}\n");
	text = reply ? json_dumps(reply, JSON_COMPACT) : strdup(why);
	assert_string_equal(text, expected);
	free(text);
	json_decref(reply);
	return rc;
}

static void a_reply_may_come_in_pieces(void **state)
{
	struct module m = {.parts = {"{\"ok\":", "true", "}\n"}, .holds_on = true};

	(void)state;
	assert_int_equal(call(&m, LONG_MS, "{\"ok\":true}"), 0);
}

static void no_is_a_reply_too(void **state)
{
	struct module m = {.parts = {"{\"ok\":false}\n"}};

	(void)state;
	assert_int_equal(call(&m, LONG_MS, "{\"ok\":false}"), 0);
}

static void silence_ends(void **state)
{
	struct module m = {.parts = {"{\"ok\":true}"}, .holds_on = true};
	uint64_t start_us = clock_now_us();

	(void)state;
	assert_int_equal(call(&m, SHORT_MS, "no answer in time"), -ETIMEDOUT);
	assert_true(clock_now_us() - start_us >= SHORT_MS * US_PER_MS);
}

static void half_a_reply_is_none(void **state)
{
	struct module m = {.parts = {"{\"ok\":true}"}};

	(void)state;
	assert_int_equal(call(&m, LONG_MS, "it closed the connection without an answer"),
			 -ECONNABORTED);
}

static void other_servers_are_recognized(void **state)
{
	static const char why[] = "what answers there is no comm socket";
	struct module http = {.parts = {"HTTP/1.1 400 Bad Request\r\n"}};
	struct module no_ok = {.parts = {"{\"ok\":1}\n"}};
	struct module endless = {.parts = {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
					   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
					   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
				 .repeats = true};

	(void)state;
	assert_int_equal(call(&http, LONG_MS, why), -EPROTO);
	assert_int_equal(call(&no_ok, LONG_MS, why), -EPROTO);
	assert_int_equal(call(&endless, LONG_MS, why), -EMSGSIZE);
}

static void who_is_not_there_is_said(void **state)
{
	json_t *request = json_object(), *reply = NULL;
	char why[CALL_WHY_MAX];

	(void)state;
	assert_int_equal(call_module("127.0.0.1", 1, request, LONG_MS, &reply, why), -ECONNREFUSED);
	assert_string_equal(why, "cannot connect: Connection refused");
	assert_int_equal(call_module("a..b", 1, request, LONG_MS, &reply, why), -EHOSTUNREACH);
	assert_int_equal(strncmp(why, "cannot look it up: ", 19), 0);
	assert_null(reply);
	json_decref(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_may_come_in_pieces),
		cmocka_unit_test(no_is_a_reply_too),
		cmocka_unit_test(silence_ends),
		cmocka_unit_test(half_a_reply_is_none),
		cmocka_unit_test(other_servers_are_recognized),
		cmocka_unit_test(who_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
