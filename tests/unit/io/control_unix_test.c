/* with: tests/unit/io/control_fixture.c */
/* The comm socket as a unix socket: its file, who may command there, the one-byte dialect that it
 * does not speak. What it has in common with TCP is in control_test and control_http_test. */
#include "common/base/limits.h"
#include "control_fixture.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STRANGER 54321 /* a user and a group that nobody is of */
#define FRIENDS 54322

static void refuse_open(struct fixture *f, const char *path, int err, const char *text)
{
	struct control *other = NULL;
	char why[256];

	assert_int_equal(control_open_unix(&f->loop, path, fixture_handle, f, &other, why), err);
	assert_null(other);
	assert_non_null(strstr(why, text));
}

static void close_control(struct fixture *f)
{
	control_close(f->control, fixture_on_closed, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->is_closed);
}

/* The fixture's own is closed and another one is opened at the same path. */
static void reopen(struct fixture *f)
{
	char why[256];

	f->is_closed = false;
	assert_int_equal(control_open_unix(&f->loop, f->path, fixture_handle, f, &f->control, why),
			 0);
}

static void expect_served(struct fixture *f)
{
	int fd = fixture_dial(f);

	say_text(fd, "{\"op\":\"x\"}\n");
	expect(f, fd, "{\"ok\":true}\n");
	close(fd);
}

/* ---- the file ---- */

static void the_mode_is_exact(void **state)
{
	static const mode_t masks[] = {0, 022, 0777};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		struct stat st;
		mode_t old = umask(masks[i]);

		close_control(f);
		reopen(f);
		umask(old);
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
		expect_served(f);
	}
}

static void the_file_goes_with_its_owner(void **state)
{
	struct fixture *f = *state;

	close_control(f);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(errno, ENOENT);
}

/* One that another process has put there meanwhile is left alone. */
static void a_file_of_another_owner_stays(void **state)
{
	struct fixture *f = *state;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.old", f->path);
	assert_int_equal(rename(f->path, moved), 0);
	fclose(fopen(f->path, "w"));
	close_control(f);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(unlink(moved), 0);
}

/* As after a kill -9: the file is there, and nobody listens. */
static void a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	close_control(f);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	reopen(f);
	expect_served(f);
}

static void one_that_somebody_listens_at_is_not(void **state)
{
	struct fixture *f = *state;

	refuse_open(f, f->path, -EADDRINUSE, "another process listens there; expected a free path");
	expect_served(f);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;

	close_control(f);
	fclose(fopen(f->path, "w"));
	refuse_open(f, f->path, -EEXIST, "no socket; expected a free path");
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(symlink("nowhere", f->path), 0);
	refuse_open(f, f->path, -EEXIST, "no socket; expected a free path");
	assert_int_equal(unlink(f->path), 0);
}

static void a_bad_path_is_said(void **state)
{
	struct fixture *f = *state;
	char path[300];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	refuse_open(f, path, -ENAMETOOLONG, "a path of 299 bytes, expected 1 to 107");
	path[108] = '\0';
	refuse_open(f, path, -ENAMETOOLONG, "a path of 108 bytes, expected 1 to 107");
	refuse_open(f, "", -EINVAL, "a path of 0 bytes, expected 1 to 107");
	snprintf(path, sizeof(path), "%s/none/socket", f->folder);
	refuse_open(f, path, -ENOENT, "No such file or directory");
}

/* ---- dialects and limits ---- */

static void bytes_are_refused_in_json(void **state)
{
	static const char refusal[] =
		"{\"ok\":false,\"code\":\"bad_request\",\"error\":\"one-byte commands are not "
		"taken at this socket, expected an object with a string \\\"op\\\"\"}\n";
	struct fixture *f = *state;

	for (const char *byte = "12345"; *byte; byte++) {
		int fd = fixture_dial(f);

		say(fd, byte, 1);
		expect_end(f, fd, refusal);
	}
	assert_int_equal(f->asked_count, 0);
	wait_conns(f, 0);
}

static void random_bytes_do_no_harm(void **state)
{
	struct fixture *f = *state;
	uint32_t x = 1;

	for (int first = 0; first < 256; first++) {
		char bytes[300], heard[4096];
		int fd = fixture_dial(f);

		bytes[0] = (char)first;
		for (size_t i = 1; i < sizeof(bytes); i++) {
			x = x * 1664525 + 1013904223;
			bytes[i] = (char)(x >> 24);
		}
		say(fd, bytes, sizeof(bytes));
		shutdown(fd, SHUT_WR);
		assert_true(hear(f, fd, heard, sizeof(heard) - 1));
		close(fd);
	}
	wait_conns(f, 0);
	expect_served(f);
}

static void the_longest_at_rest_makes_room(void **state)
{
	struct fixture *f = *state;
	int fds[CONTROL_CONNECTIONS_MAX];

	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		fds[i] = fixture_dial(f);
		wait_conns(f, (uint32_t)i + 1);
	}
	expect_served(f);
	expect_end(f, fds[0], "");
	for (size_t i = 1; i < CONTROL_CONNECTIONS_MAX; i++)
		close(fds[i]);
	wait_conns(f, 0);
}

static void many_lines_at_once_are_answered_in_order(void **state)
{
	enum { LINES = 200 };
	struct fixture *f = *state;
	char lines[LINES * 16 + 1] = "", replies[LINES * 16 + 1] = "";
	int fd = fixture_dial(f);

	for (size_t i = 0; i < LINES; i++) {
		snprintf(lines + strlen(lines), 16, "{\"op\":\"x\"}\n");
		snprintf(replies + strlen(replies), 16, "{\"ok\":true}\n");
	}
	say_text(fd, lines);
	expect(f, fd, replies);
	assert_int_equal(f->asked_count, LINES);
	close(fd);
}

/* ---- metrics of the daemon's own ---- */

static void own_metrics_are_one_question(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_dial(f);

	control_own_metrics(f->control);
	say_text(fd, "GET /metrics HTTP/1.1\r\n\r\n");
	expect(f, fd,
	       "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	       "Content-Length: 12\r\nConnection: keep-alive\r\n\r\nown_total 7\n");
	say_text(fd, "HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
	expect_end(f, fd,
		   "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		   "Content-Length: 12\r\nConnection: close\r\n\r\n");
	assert_int_equal(f->asked_count, 2);
	assert_string_equal(f->asked[0], "metrics {}");
}

static void own_metrics_without_text_are_503(void **state)
{
	static const char start[] = "HTTP/1.1 503 Service Unavailable\r\n";
	struct fixture *f = *state;
	int fd = fixture_dial(f);
	char heard[512];

	control_own_metrics(f->control);
	f->manner = LATER;
	say_text(fd, "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
	wait_asked(f, 1);
	control_reply_error(f->kept, "busy", "no worker answers");
	assert_true(hear(f, fd, heard, sizeof(heard) - 1));
	assert_memory_equal(heard, start, sizeof(start) - 1);
	assert_non_null(strstr(heard, "no worker answers"));
	close(fd);
}

/* ---- who may give commands ---- */

/* What a process of that user and those groups gets; -1 with errno. */
static int dial_as(struct fixture *f, uid_t user, gid_t group, size_t count, const gid_t *others)
{
	gid_t mine[64];
	int mine_count = getgroups(64, mine);
	int fd, err;

	assert_true(mine_count >= 0);
	assert_int_equal(setgroups(count, others), 0);
	assert_int_equal(setegid(group), 0);
	assert_int_equal(seteuid(user), 0);
	fd = fixture_dial_path(f->path);
	err = errno;
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(setgroups((size_t)mine_count, mine), 0);
	errno = err;
	return fd;
}

static void expect_may(struct fixture *f, int fd)
{
	assert_true(fd >= 0);
	say_text(fd, "{\"op\":\"x\"}\n");
	expect(f, fd, "{\"ok\":true}\n");
	close(fd);
	wait_conns(f, 0);
}

static void expect_may_not(struct fixture *f, int fd)
{
	int asked = f->asked_count;

	assert_true(fd >= 0);
	send(fd, "{\"op\":\"x\"}\n", 11, MSG_NOSIGNAL);
	expect_end(f, fd, "");
	assert_int_equal(f->asked_count, asked);
	wait_conns(f, 0);
}

static void the_mode_keeps_strangers_out(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(dial_as(f, STRANGER, STRANGER, 0, NULL), -1);
	assert_int_equal(errno, EACCES);
	expect_may(f, dial_as(f, 0, STRANGER, 0, NULL));
}

/* Whatever has become of the mode. */
static void strangers_are_hung_up_on(void **state)
{
	static const gid_t others[] = {FRIENDS, 54323};
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	expect_may_not(f, dial_as(f, STRANGER, STRANGER, 0, NULL));
	expect_may_not(f, dial_as(f, STRANGER, STRANGER, 2, others));
	assert_int_equal(chown(f->path, 0, FRIENDS), 0);
	expect_may(f, dial_as(f, STRANGER, STRANGER, 2, others));
	expect_may(f, dial_as(f, STRANGER, FRIENDS, 0, NULL));
	expect_may_not(f, dial_as(f, STRANGER, STRANGER, 1, others + 1));
	for (int i = 0; i < 100; i++) /* the log has a limit, the check has none */
		expect_may_not(f, dial_as(f, STRANGER, STRANGER, 0, NULL));
	assert_int_equal(unlink(f->path), 0);
}

/* A daemon that is not root: its own user, with no group in common. */
static void the_own_user_may(void **state)
{
	struct fixture *f = *state;
	int fd;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	fd = dial_as(f, STRANGER, STRANGER, 0, NULL);
	assert_true(fd >= 0);
	say_text(fd, "{\"op\":\"x\"}\n");
	assert_int_equal(seteuid(STRANGER), 0);
	expect(f, fd, "{\"ok\":true}\n");
	assert_int_equal(seteuid(0), 0);
	close(fd);
	wait_conns(f, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_unix, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_mode_is_exact),
		TEST(the_file_goes_with_its_owner),
		TEST(a_file_of_another_owner_stays),
		TEST(a_stale_socket_is_replaced),
		TEST(one_that_somebody_listens_at_is_not),
		TEST(what_is_no_socket_is_left_alone),
		TEST(a_bad_path_is_said),
		TEST(bytes_are_refused_in_json),
		TEST(random_bytes_do_no_harm),
		TEST(the_longest_at_rest_makes_room),
		TEST(many_lines_at_once_are_answered_in_order),
		TEST(own_metrics_are_one_question),
		TEST(own_metrics_without_text_are_503),
		TEST(the_mode_keeps_strangers_out),
		TEST(strangers_are_hung_up_on),
		TEST(the_own_user_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
