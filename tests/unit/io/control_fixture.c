/* The daemon's and the client's side of the comm socket's tests: see control_fixture.h. */
#include "control_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- the daemon ---- */

static void answer(struct fixture *f, struct control_request *req)
{
	const char *op = control_op(req);

	if (strcmp(op, "health_check") == 0)
		control_reply_ok(req, json_pack("{s:b, s:b, s:[]}", "live", !f->is_dead, "ready", 1,
						"degraded"));
	else if (strcmp(op, "stats") == 0)
		control_reply_ok(req, json_pack("{s:s, s:i, s:{s:i}}", "module", "proxy", "workers",
						1, "sessions", "open", 3));
	else if (strcmp(op, "metrics") == 0)
		control_reply_ok(req, json_pack("{s:s}", "text", "own_total 7\n"));
	else if (strcmp(op, "update_topo") == 0)
		control_reply_error(req, "not_prepared", "nothing is %s", "prepared");
	else if (strcmp(op, "broken_text") == 0)
		control_reply_error(req, "internal", "\xc3(");
	else
		control_reply_ok(req, NULL);
}

void fixture_handle(void *user, struct control_request *req)
{
	struct fixture *f = user;
	char *args = json_dumps(control_args(req), JSON_COMPACT | JSON_SORT_KEYS);

	snprintf(f->asked[f->asked_count++ % 8], sizeof(f->asked[0]), "%s %s", control_op(req),
		 args);
	free(args);
	if (f->manner == AT_ONCE)
		answer(f, req);
	else
		f->kept = req;
}

void fixture_on_closed(void *user)
{
	struct fixture *f = user;

	f->is_closed = true;
}

/* ---- the client ---- */

uint64_t fixture_now_ms(void)
{
	return uv_hrtime() / 1000000;
}

void fixture_turn(struct fixture *f, int fd)
{
	struct pollfd fds[] = {
		{.fd = uv_backend_fd(&f->loop), .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	int timeout;

	uv_update_time(&f->loop);
	timeout = uv_backend_timeout(&f->loop);
	poll(fds, 2, timeout < 0 || timeout > PATIENCE_MS ? PATIENCE_MS : timeout);
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

int fixture_dial_path(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int dial_tcp(struct fixture *f)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(control_port(f->control))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

int fixture_dial(struct fixture *f)
{
	int fd = f->folder[0] ? fixture_dial_path(f->path) : dial_tcp(f);

	assert_true(fd >= 0);
	return fd;
}

void say(int fd, const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

void say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

void say_much(struct fixture *f, int fd, char byte, size_t count)
{
	char bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	while (count > 0) {
		size_t len = count < sizeof(bytes) ? count : sizeof(bytes);
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent > 0)
			count -= (size_t)sent;
		fixture_turn(f, -1);
	}
}

bool hear(struct fixture *f, int fd, char *ret_text, size_t len)
{
	uint64_t end = fixture_now_ms() + PATIENCE_MS;
	size_t have = 0;
	ssize_t got = -1;

	while (have < len && got != 0 && fixture_now_ms() < end) {
		fixture_turn(f, fd);
		got = recv(fd, ret_text + have, len - have, MSG_DONTWAIT);
		if (got < 0 && errno != EAGAIN)
			got = 0;
		if (got > 0)
			have += (size_t)got;
	}
	ret_text[have] = '\0';
	return got == 0;
}

void expect(struct fixture *f, int fd, const char *text)
{
	char heard[4096];

	assert_true(strlen(text) < sizeof(heard));
	assert_false(hear(f, fd, heard, strlen(text)));
	assert_string_equal(heard, text);
}

void expect_end(struct fixture *f, int fd, const char *text)
{
	char heard[4096];

	assert_true(hear(f, fd, heard, sizeof(heard) - 1));
	assert_string_equal(heard, text);
	close(fd);
}

void wait_asked(struct fixture *f, int count)
{
	uint64_t end = fixture_now_ms() + PATIENCE_MS;

	while (f->asked_count < count && fixture_now_ms() < end)
		fixture_turn(f, -1);
	assert_int_equal(f->asked_count, count);
}

void wait_conns(struct fixture *f, uint32_t count)
{
	uint64_t end = fixture_now_ms() + PATIENCE_MS;

	while (f->control->conn_count != count && fixture_now_ms() < end)
		fixture_turn(f, -1);
	assert_int_equal(f->control->conn_count, count);
}

/* ---- set-up ---- */

static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	return f;
}

int fixture_setup(void **state)
{
	struct fixture *f = fixture_new();
	char why[256];

	assert_int_equal(control_open(&f->loop, "127.0.0.1", 0, fixture_handle, f, &f->control,
				      why),
			 0);
	*state = f;
	return 0;
}

int fixture_setup_unix(void **state)
{
	struct fixture *f = fixture_new();
	char why[256];

	snprintf(f->folder, sizeof(f->folder), "/tmp/control_test.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/socket", f->folder);
	assert_int_equal(control_open_unix(&f->loop, f->path, fixture_handle, f, &f->control, why),
			 0);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (!f->is_closed)
		control_close(f->control, fixture_on_closed, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->is_closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	if (f->folder[0])
		assert_int_equal(rmdir(f->folder), 0); /* so nothing is left in it */
	free(f);
	return 0;
}
