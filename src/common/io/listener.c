/* Binding, and accepting in a loop until nothing waits: see listener.h. Whatever accept(2) says
 * that is not about one connection is taken for a shortage: it is said once, and tried again by
 * a timer, because a level-triggered listener would spin on it. */
#include "common/io/listener.h"

#include "common/base/hostport.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/io/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- binding ---- */

static int bind_one(const struct addrinfo *ai, int *ret_fd)
{
	int one = 1, zero = 0;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static const char *bind_error_text(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "the port is in use; expected a free one";
	case -EADDRNOTAVAIL:
		return "no interface of this machine has this address";
	case -EACCES:
		return "not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE";
	default:
		return uv_strerror(err);
	}
}

int listener_bind(const char *host, uint16_t port, int *ret_fd, char ret_why[256])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *addresses;
	char service[8], name[HOSTPORT_TEXT_MAX];
	int err;

	snprintf(service, sizeof(service), "%u", port);
	err = getaddrinfo(host, service, &hints, &addresses);
	if (err) {
		snprintf(ret_why, 256, "cannot listen on %.180s: %s", host, gai_strerror(err));
		return -EADDRNOTAVAIL;
	}
	for (const struct addrinfo *ai = addresses; ai; ai = ai->ai_next) {
		err = bind_one(ai, ret_fd);
		if (!err)
			break;
	}
	freeaddrinfo(addresses);
	if (err) {
		hostport_text(host, port, name);
		snprintf(ret_why, 256, "cannot listen on %.180s: %s", name, bind_error_text(err));
	}
	return err;
}

/* ---- accepting ---- */

struct listener {
	uv_poll_t poll;
	uv_timer_t retry;
	int fd;
	unsigned int open_handles;
	bool is_closed;
	bool is_starved; /* said, and not over yet */
	listener_accepted *accepted;
	void *user;
	char name[HOSTPORT_TEXT_MAX];
};

/* Errors of the one connection that was to be accepted (accept(2), "Error handling"). */
static bool is_transient(int err)
{
	static const int transient[] = {ECONNABORTED, EPROTO,	   EINTR,     EPERM,
					ENETDOWN,     ENOPROTOOPT, EHOSTDOWN, ENONET,
					EHOSTUNREACH, ENETUNREACH, EOPNOTSUPP};

	for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
		if (err == transient[i])
			return true;
	}
	return false;
}

static void on_retry(uv_timer_t *retry)
{
	listener_resume(retry->data);
}

static void starve(struct listener *l, int err)
{
	if (!l->is_starved)
		log_warn("listener %s: stopped accepting: %s; trying again every %u ms", l->name,
			 uv_strerror(-err), ACCEPT_RETRY_MS);
	l->is_starved = true;
	uv_poll_stop(&l->poll);
	uv_timer_start(&l->retry, on_retry, ACCEPT_RETRY_MS, 0);
}

/* Returns false when the owner wants no more. */
static bool hand_over(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	if (l->is_starved)
		log_info("listener %s: accepting again", l->name);
	l->is_starved = false;
	return l->accepted(l->user, fd, from);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;

	(void)status;
	(void)events;
	for (unsigned int i = 0; i < ACCEPTS_MAX && !l->is_closed; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd;

		if (i % DESCRIPTORS_LOOK_EVERY == 0 && descriptors_are_short()) {
			starve(l, EMFILE);
			return;
		}
		fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && is_transient(errno))
			continue;
		if (fd < 0) {
			starve(l, errno);
			return;
		}
		if (!hand_over(l, fd, &from)) {
			listener_pause(l);
			return;
		}
	}
}

int listener_open(uv_loop_t *loop, int fd, const char *name, listener_accepted *accepted,
		  void *user, struct listener **ret)
{
	struct listener *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	*l = (struct listener){.accepted = accepted, .user = user, .open_handles = 2};
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (l->fd < 0) {
		err = -errno;
		goto out_memory;
	}
	err = uv_poll_init(loop, &l->poll, l->fd);
	if (err)
		goto out_fd;
	uv_timer_init(loop, &l->retry);
	l->poll.data = l->retry.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_readable);
	*ret = l;
	return 0;

out_fd:
	close(l->fd);
out_memory:
	free(l);
	return err;
}

void listener_resume(struct listener *l)
{
	if (l->is_closed)
		return;
	uv_timer_stop(&l->retry);
	if (!uv_is_active((uv_handle_t *)&l->poll))
		uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void listener_pause(struct listener *l)
{
	if (l->is_closed)
		return;
	uv_timer_stop(&l->retry);
	uv_poll_stop(&l->poll);
}

static void on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	if (!--l->open_handles)
		free(l);
}

void listener_close(struct listener *l)
{
	if (!l || l->is_closed)
		return;
	l->is_closed = true;
	uv_close((uv_handle_t *)&l->poll, on_closed);
	uv_close((uv_handle_t *)&l->retry, on_closed);
	close(l->fd);
}
