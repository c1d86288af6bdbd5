/* JSON lines from the client's side, over a socket pair whose other end the test plays. */
#include "common/base/clock.h"
#include "common/io/asker.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LONG_US (20 * US_PER_S)
#define SHORT_US (20 * US_PER_MS)

struct fixture {
	struct asker asker;
	int peer;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	asker_init_take(&f->asker, fds[0]);
	f->asker.end_us = clock_now_us() + LONG_US;
	f->peer = fds[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	asker_done(&f->asker);
	asker_done(&f->asker); /* does no harm */
	if (f->peer >= 0)
		close(f->peer);
	free(f);
	return 0;
}

static void push(struct fixture *f, int n)
{
	json_t *request = json_pack("{s:i}", "n", n);

	assert_int_equal(asker_push(&f->asker, request), 0);
	json_decref(request);
}

static void say(struct fixture *f, const char *text)
{
	assert_int_equal(send(f->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_reply(struct fixture *f, int n)
{
	json_t *reply;

	assert_int_equal(asker_next(&f->asker, &reply), 0);
	assert_int_equal(json_integer_value(json_object_get(reply, "n")), n);
	json_decref(reply);
}

static void expect_error(struct fixture *f, int err)
{
	json_t *reply = NULL;

	assert_int_equal(asker_next(&f->asker, &reply), err);
	assert_null(reply);
}

static void replies_may_come_together_or_in_pieces(void **state)
{
	struct fixture *f = *state;
	char heard[64] = "";

	push(f, 1);
	push(f, 2);
	assert_int_equal(asker_unsent(&f->asker), 16);
	say(f, "{\"ok\":true,\"n\":1}\n{\"ok\":false,\"n\":2}\n{\"ok\":tr");
	expect_reply(f, 1);
	assert_int_equal(asker_unsent(&f->asker), 0);
	assert_int_equal(recv(f->peer, heard, sizeof(heard) - 1, 0), 16);
	assert_string_equal(heard, "{\"n\":1}\n{\"n\":2}\n");
	expect_reply(f, 2);
	f->asker.end_us = clock_now_us() + SHORT_US;
	expect_error(f, -ETIMEDOUT);
	say(f, "ue,\"n\":3}\n");
	f->asker.end_us = clock_now_us() + LONG_US;
	expect_reply(f, 3);
}

/* Far more than a socket holds, all of it pushed before anything is read. */
static void requests_go_out_while_replies_come(void **state)
{
	enum { MANY = 100000 };
	struct fixture *f = *state;
	char bytes[65536];
	ssize_t got;
	size_t heard = 0, all;

	for (int i = 0; i < MANY; i++)
		push(f, i);
	all = asker_unsent(&f->asker);
	for (int i = 0; heard < all; i++) {
		say(f, "{\"ok\":true,\"n\":5}\n");
		expect_reply(f, 5);
		while ((got = recv(f->peer, bytes, sizeof(bytes), 0)) > 0)
			heard += (size_t)got;
	}
	assert_int_equal(heard, all);
}

/* Who hangs up may have said why before. */
static void last_words_are_heard(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"ok\":false,\"n\":9}\n");
	close(f->peer);
	f->peer = -1;
	push(f, 1);
	expect_reply(f, 9);
	push(f, 2);
	expect_error(f, -ECONNABORTED);
}

static void half_a_reply_is_none(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"ok\":true}");
	close(f->peer);
	f->peer = -1;
	expect_error(f, -ECONNABORTED);
}

static void what_is_no_reply_is_told(void **state)
{
	static const char *const lines[] = {"\n", "hello\n", "[true]\n", "{}\n", "{\"ok\":1}\n"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say(f, lines[i]);
		expect_error(f, -EPROTO);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(replies_may_come_together_or_in_pieces),
		TEST(requests_go_out_while_replies_come),
		TEST(last_words_are_heard),
		TEST(half_a_reply_is_none),
		TEST(what_is_no_reply_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
