/* The exchange with a module: see call.h. Sockets do not block, poll waits for them until the
 * deadline; the name is looked up in a thread, because getaddrinfo has no time limit. */
#include "controller/call.h"

#include "common/base/clock.h"
#include "common/io/asker.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t left_us(uint64_t end_us)
{
	uint64_t now_us = clock_now_us();

	return now_us < end_us ? end_us - now_us : 0;
}

static int await(int fd, short events, uint64_t end_us)
{
	return asker_await(fd, events, end_us, &events);
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

static int talk(int fd_take, const json_t *request, uint64_t end_us, json_t **ret_reply,
		char ret_why[CALL_WHY_MAX])
{
	struct asker a;
	int err;

	asker_init_take(&a, fd_take);
	a.end_us = end_us;
	err = asker_push(&a, request);
	if (!err)
		err = asker_next(&a, ret_reply);
	if (err)
		snprintf(ret_why, CALL_WHY_MAX, "%s", asker_error_text(err));
	asker_done(&a);
	return err;
}

int call_module(const char *host, uint16_t port, const json_t *request, uint32_t timeout_ms,
		json_t **ret_reply, char ret_why[CALL_WHY_MAX])
{
	uint64_t end_us = clock_now_us() + timeout_ms * US_PER_MS;
	struct addrinfo *list;
	int err = look_up(host, port, end_us, &list, ret_why);
	int fd;

	if (err)
		return err;
	fd = connect_any(list, end_us);
	freeaddrinfo(list);
	if (fd < 0) {
		snprintf(ret_why, CALL_WHY_MAX, "cannot connect: %s", strerror(-fd));
		return fd;
	}
	return talk(fd, request, end_us, ret_reply, ret_why);
}
