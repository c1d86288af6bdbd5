/* What the io tests share: a worker whose loop is turned by the test itself, plain sockets on
 * loopback, and what was logged. A condition that never comes true ends in SIGALRM. */
#ifndef TESTS_UNIT_IO_LOOP_H
#define TESTS_UNIT_IO_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* which needs those before it */

#include "common/base/chunk.h"
#include "common/base/log.h"
#include "common/io/worker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEST_SECONDS_MAX 60

/* One turn; returns when the next has something to do, but soon also without, because what is
 * awaited may be outside of the loop. */
static inline void turn(struct worker *w)
{
	struct pollfd p = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};

	uv_run(&w->loop, UV_RUN_NOWAIT);
	poll(&p, 1, 1);
}

/* Turns the loop of `w` until `condition` holds. */
#define await(w, condition)          \
	do {                         \
		while (!(condition)) \
			turn(w);     \
	} while (0)

struct turner {
	struct worker w;
	struct chunk_pool pool;
};

static inline void turner_init(struct turner *t)
{
	alarm(TEST_SECONDS_MAX);
	chunk_pool_init(&t->pool, 64 << 20);
	assert_int_equal(worker_init(&t->w, 0, NULL), 0);
	t->w.chunks = &t->pool;
}

/* Everything that was opened must have been closed, or this never returns. */
static inline void turner_done(struct turner *t)
{
	worker_join(&t->w);
	chunk_pool_done(&t->pool);
	alarm(0);
}

/* A blocking socket that listens on 127.0.0.1. */
static inline int loopback_listen(int backlog, uint16_t *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_return_code(fd, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static inline uint16_t socket_port(int fd)
{
	struct sockaddr_in6 a = {0};
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin6_port); /* at the same place in a sockaddr_in */
}

static inline int loopback_connect(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_return_code(fd, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Both ends of one TCP connection. */
static inline void tcp_pair(int fds[2])
{
	uint16_t port;
	int listener = loopback_listen(1, &port);

	fds[0] = loopback_connect(port);
	fds[1] = accept(listener, NULL, NULL);
	assert_return_code(fds[1], 0);
	close(listener);
}

/* close(2) as a reset. */
static inline void close_with_reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

/* Standard error goes to a file meanwhile. */
struct capture {
	FILE *file;
	int stderr_fd;
};

static inline void capture_start(struct capture *c)
{
	c->file = tmpfile();
	assert_non_null(c->file);
	c->stderr_fd = dup(STDERR_FILENO);
	assert_return_code(dup2(fileno(c->file), STDERR_FILENO), 0);
}

static inline void capture_stop(struct capture *c)
{
	dup2(c->stderr_fd, STDERR_FILENO);
	close(c->stderr_fd);
}

/* How many of the lines have `word` in them, so far. */
static inline unsigned int capture_count(struct capture *c, const char *word)
{
	char line[1024];
	unsigned int count = 0;

	rewind(c->file);
	while (fgets(line, sizeof(line), c->file))
		count += strstr(line, word) != NULL;
	fseek(c->file, 0, SEEK_END);
	return count;
}

#endif
