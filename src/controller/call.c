/* The exchange with a module: see call.h. Sockets do not block, poll waits for them until the
 * deadline; the name is looked up in a thread, because getaddrinfo has no time limit. */
#include "controller/call.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (16u * KIB)

struct call {
	uint64_t end_us;
	int fd;
	char *line; /* malloc'd; line_len of line_size bytes are there */
	size_t line_len, line_size;
};

static uint64_t left_us(uint64_t end_us)
{
	uint64_t now_us = clock_now_us();

	return now_us < end_us ? end_us - now_us : 0;
}

/* 0 or -ETIMEDOUT. */
static int await(int fd, short events, uint64_t end_us)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t left_ms;
	int rc;

	do {
		left_ms = (left_us(end_us) + US_PER_MS - 1) / US_PER_MS;
		rc = poll(&p, 1, (int)left_ms);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	return rc > 0 ? 0 : -ETIMEDOUT;
}

/* ---- look-up ---- */

/* What the look-up's thread is to find; it owns this. */
struct lookup {
	char host[NI_MAXHOST];
	char service[8];
	int fd; /* where the finding goes */
};

struct finding {
	int rc; /* an EAI_ code */
	struct addrinfo *list;
};

static void *run_lookup(void *user)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct lookup *l = user;
	struct finding f = {0};

	f.rc = getaddrinfo(l->host, l->service, &hints, &f.list);
	/* The caller may have given up. */
	if (send(l->fd, &f, sizeof(f), MSG_NOSIGNAL) < 0 && f.list)
		freeaddrinfo(f.list);
	close(l->fd);
	free(l);
	return NULL;
}

/* A descriptor to read one struct finding from, or a negative errno. */
static int start_lookup(const char *host, uint16_t port)
{
	struct lookup *l = calloc(1, sizeof(*l));
	pthread_t thread;
	int fds[2];
	int err;

	if (!l)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
		err = errno;
		goto free_lookup;
	}
	snprintf(l->host, sizeof(l->host), "%s", host);
	snprintf(l->service, sizeof(l->service), "%u", port);
	l->fd = fds[1];
	err = pthread_create(&thread, NULL, run_lookup, l);
	if (err)
		goto close_pair;
	pthread_detach(thread);
	return fds[0];

close_pair:
	close(fds[0]);
	close(fds[1]);
free_lookup:
	free(l);
	return -err;
}

static int look_up(const char *host, uint16_t port, uint64_t end_us, struct addrinfo **ret_list,
		   char ret_why[CALL_WHY_MAX])
{
	struct finding f = {.rc = EAI_SYSTEM};
	int fd = start_lookup(host, port);
	int err = fd < 0 ? fd : await(fd, POLLIN, end_us);

	if (!err && recv(fd, &f, sizeof(f), 0) != sizeof(f))
		err = -EIO;
	if (fd >= 0)
		close(fd);
	if (err) {
		snprintf(ret_why, CALL_WHY_MAX, "cannot look it up: %s", strerror(-err));
		return err;
	}
	if (f.rc) {
		snprintf(ret_why, CALL_WHY_MAX, "cannot look it up: %s", gai_strerror(f.rc));
		return -EHOSTUNREACH;
	}
	*ret_list = f.list;
	return 0;
}

/* ---- connecting ---- */

/* A connected descriptor or a negative errno. */
static int connect_one(const struct addrinfo *ai, uint64_t end_us)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = 0;
	socklen_t len = sizeof(err);

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) && errno != EINPROGRESS) {
		err = errno;
		goto close_fd;
	}
	err = -await(fd, POLLOUT, end_us);
	if (err)
		goto close_fd;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err)
		goto close_fd;
	return fd;

close_fd:
	close(fd);
	return -err;
}

/* The addresses in turn; each gets a fair part of the time that is left. */
static int connect_any(const struct addrinfo *list, uint64_t end_us)
{
	uint64_t count = 0;
	int rc = -EHOSTUNREACH;

	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		count++;
	for (const struct addrinfo *ai = list; ai && rc < 0; ai = ai->ai_next) {
		rc = connect_one(ai, clock_now_us() + left_us(end_us) / count);
		count--;
	}
	return rc;
}

/* ---- talking ---- */

static int send_line(struct call *c, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, sent = 0;
	int err = 0;

	if (!text)
		return -ENOMEM;
	len = strlen(text);
	text[len++] = '\n'; /* in place of the NUL */
	while (sent < len && !err) {
		ssize_t n = send(c->fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			err = await(c->fd, POLLOUT, c->end_us);
		else if (errno != EINTR)
			err = -errno;
	}
	free(text);
	return err;
}

static int make_room(struct call *c)
{
	size_t size = c->line_size ? 2 * c->line_size : READ_BYTES;
	char *line;

	if (c->line_len < c->line_size)
		return 0;
	if (size > CONTROL_REPLY_MAX)
		return -EMSGSIZE;
	line = realloc(c->line, size);
	if (!line)
		return -ENOMEM;
	c->line = line;
	c->line_size = size;
	return 0;
}

/* What is there now; true in `ret_is_whole` once a line end is. */
static int receive_part(struct call *c, bool *ret_is_whole)
{
	ssize_t n;
	int err = await(c->fd, POLLIN, c->end_us);

	if (!err)
		err = make_room(c);
	if (err)
		return err;
	n = recv(c->fd, c->line + c->line_len, c->line_size - c->line_len, 0);
	if (n == 0)
		return -ECONNABORTED;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	*ret_is_whole = memchr(c->line + c->line_len, '\n', (size_t)n) != NULL;
	c->line_len += (size_t)n;
	return 0;
}

static int receive_line(struct call *c)
{
	bool is_whole = false;
	int err = 0;

	while (!is_whole && !err)
		err = receive_part(c, &is_whole);
	return err;
}

static int parse_reply(const struct call *c, json_t **ret_reply)
{
	json_t *reply = json_loadb(c->line, c->line_len, 0, NULL);

	if (!json_is_boolean(json_object_get(reply, "ok"))) {
		json_decref(reply);
		return -EPROTO;
	}
	*ret_reply = reply;
	return 0;
}

static int talk(struct call *c, const json_t *request, json_t **ret_reply,
		char ret_why[CALL_WHY_MAX])
{
	int err = send_line(c, request);

	if (!err)
		err = receive_line(c);
	if (!err)
		err = parse_reply(c, ret_reply);
	if (err == -ETIMEDOUT)
		snprintf(ret_why, CALL_WHY_MAX, "no answer in time");
	else if (err == -ECONNABORTED)
		snprintf(ret_why, CALL_WHY_MAX, "it closed the connection without an answer");
	else if (err == -EPROTO || err == -EMSGSIZE)
		snprintf(ret_why, CALL_WHY_MAX, "what answers there is no comm socket");
	else if (err)
		snprintf(ret_why, CALL_WHY_MAX, "%s", strerror(-err));
	return err;
}

int call_module(const char *host, uint16_t port, const json_t *request, uint32_t timeout_ms,
		json_t **ret_reply, char ret_why[CALL_WHY_MAX])
{
	struct call c = {.end_us = clock_now_us() + timeout_ms * US_PER_MS};
	struct addrinfo *list;
	int err = look_up(host, port, c.end_us, &list, ret_why);

	if (err)
		return err;
	c.fd = connect_any(list, c.end_us);
	freeaddrinfo(list);
	if (c.fd < 0) {
		snprintf(ret_why, CALL_WHY_MAX, "cannot connect: %s", strerror(-c.fd));
		return c.fd;
	}
	err = talk(&c, request, ret_reply, ret_why);
	close(c.fd);
	free(c.line);
	return err;
}
