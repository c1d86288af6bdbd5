/* The listener: binding and what its failures say, pausing, and running out of descriptors. */
#include "loop.h"

#include "common/io/conn.h"
#include "common/io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void a_port_in_use_is_found(void **state)
{
	char why[256] = "";
	char expected[256];
	int fd, other = -2;

	(void)state;
	assert_int_equal(listener_bind("127.0.0.1", 0, &fd, why), 0);
	assert_int_equal(listener_bind("127.0.0.1", socket_port(fd), &other, why), -EADDRINUSE);
	snprintf(expected, sizeof(expected),
		 "cannot listen on 127.0.0.1:%u: the port is in use; expected a free one",
		 socket_port(fd));
	assert_string_equal(why, expected);
	assert_int_equal(other, -2);
	close(fd);
}

static void a_wrong_address_is_found(void **state)
{
	char why[256] = "";
	int fd = -2;

	(void)state;
	assert_int_equal(listener_bind("203.0.113.7", 9, &fd, why), -EADDRNOTAVAIL);
	assert_string_equal(why, "cannot listen on 203.0.113.7:9: no interface of this machine has "
				 "this address");
	assert_true(listener_bind("not..a.name", 9, &fd, why) < 0);
	assert_non_null(strstr(why, "cannot listen on not..a.name: "));
	assert_int_equal(fd, -2);
}

struct door {
	struct listener *listener;
	unsigned int accepted, accepted_max; /* at the latter it says: no more */
	bool closes_itself;
	char from[ADDRESS_TEXT_MAX];
};

static bool on_accepted(void *user, int fd, const struct sockaddr_storage *from)
{
	struct door *d = user;

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	d->accepted++;
	sockaddr_text(from, d->from);
	if (d->closes_itself)
		listener_close(d->listener);
	return d->accepted != d->accepted_max;
}

static uint16_t open_door(struct turner *t, struct door *d, const char *host)
{
	char why[256];
	uint16_t port;
	int fd;

	assert_int_equal(listener_bind(host, 0, &fd, why), 0);
	port = socket_port(fd);
	assert_int_equal(listener_open(&t->w.loop, fd, "test", on_accepted, d, &d->listener), 0);
	close(fd);
	return port;
}

static void it_stops_when_told_and_goes_on(void **state)
{
	struct turner t;
	struct door d = {.accepted_max = 2};
	int fds[5];
	uint16_t port;

	(void)state;
	turner_init(&t);
	port = open_door(&t, &d, "127.0.0.1");
	for (int i = 0; i < 5; i++)
		fds[i] = loopback_connect(port);
	await(&t.w, d.accepted == 2);
	uv_run(&t.w.loop, UV_RUN_NOWAIT);
	assert_int_equal(d.accepted, 2);
	listener_resume(d.listener);
	await(&t.w, d.accepted == 5);
	listener_close(d.listener);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	turner_done(&t);
}

static void it_may_be_closed_while_it_accepts(void **state)
{
	struct turner t;
	struct door d = {.closes_itself = true};
	int fds[3];
	uint16_t port;

	(void)state;
	turner_init(&t);
	port = open_door(&t, &d, "127.0.0.1");
	for (int i = 0; i < 3; i++)
		fds[i] = loopback_connect(port);
	await(&t.w, d.accepted);
	turner_done(&t);
	assert_int_equal(d.accepted, 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void any_address_takes_ipv4_too(void **state)
{
	struct turner t;
	static const char *const hosts[] = {"::", "0.0.0.0"};

	(void)state;
	turner_init(&t);
	for (int i = 0; i < 2; i++) {
		struct door d = {0};
		int fd = loopback_connect(open_door(&t, &d, hosts[i]));

		await(&t.w, d.accepted);
		assert_memory_equal(d.from, "127.0.0.1:", 10);
		close(fd);
		listener_close(d.listener);
	}
	turner_done(&t);
}

/* ---- out of descriptors, in a child of its own ---- */

static void set_fd_limit(rlim_t max)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void on_a_while(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_close((uv_handle_t *)timer, NULL);
}

/* Long enough for some retries. */
static void turn_for_a_while(struct turner *t)
{
	uv_timer_t timer;
	bool is_over = false;

	uv_timer_init(&t->w.loop, &timer);
	timer.data = &is_over;
	uv_timer_start(&timer, on_a_while, 350, 0);
	await(&t->w, is_over);
	uv_run(&t->w.loop, UV_RUN_NOWAIT); /* the timer's close */
}

static void starve_and_recover(void)
{
	struct turner t;
	struct door d = {0};
	struct capture log;
	int fds[3];
	uint16_t port;
	int free_fd;

	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture_start(&log);
	turner_init(&t);
	port = open_door(&t, &d, "127.0.0.1");
	for (int i = 0; i < 3; i++)
		fds[i] = loopback_connect(port);
	free_fd = dup(fds[0]);
	close(free_fd);
	set_fd_limit((rlim_t)free_fd);
	await(&t.w, capture_count(&log, "stopped accepting") == 1);
	turn_for_a_while(&t);
	assert_int_equal(d.accepted, 0);
	assert_int_equal(capture_count(&log, "stopped accepting"), 1);
	set_fd_limit(1024);
	await(&t.w, d.accepted == 3);
	assert_int_equal(capture_count(&log, "accepting again"), 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	listener_close(d.listener);
	turner_done(&t);
	capture_stop(&log);
	fclose(log.file);
}

static void out_of_descriptors_it_waits_and_says_so_once(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		starve_and_recover();
		exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_in_use_is_found),
		cmocka_unit_test(a_wrong_address_is_found),
		cmocka_unit_test(it_stops_when_told_and_goes_on),
		cmocka_unit_test(it_may_be_closed_while_it_accepts),
		cmocka_unit_test(any_address_takes_ipv4_too),
		cmocka_unit_test(out_of_descriptors_it_waits_and_says_so_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
