/* One non-blocking stream socket: see conn.h. What is wanted and what is armed differ on
 * purpose: uv_poll_start costs two epoll_ctl each time, so interest grows when it must and
 * shrinks only when an event comes that nobody wants. */
#include "common/io/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int wanted_events(const struct conn *c)
{
	bool watches = c->ops->lost && !c->wants_read && !c->has_ended;

	return (c->wants_read ? UV_READABLE : 0) | (c->wants_write ? UV_WRITABLE : 0) |
	       (watches ? UV_DISCONNECT : 0);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void arm(struct conn *c, int events)
{
	c->events = events;
	if (events)
		uv_poll_start(&c->poll, events, on_poll);
	else
		uv_poll_stop(&c->poll);
}

/* The peer's end, or its reset, which libuv reports as an error of polling. */
static void on_disconnect(struct conn *c, bool is_reset)
{
	c->has_ended = true;
	if (is_reset)
		c->ops->lost(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;
	int unwanted;

	if (status < 0) {
		/* An error waits at the socket, and libuv has stopped polling: the owner finds
		 * it by reading or writing, after the bytes that came before it. */
		c->events = 0;
		events = wanted_events(c) | UV_DISCONNECT;
	}
	unwanted = events & ~wanted_events(c);
	if ((events & UV_READABLE) && c->wants_read)
		c->ops->readable(c);
	if ((events & UV_WRITABLE) && c->wants_write && c->fd >= 0) {
		c->wants_write = false;
		c->ops->writable(c);
	}
	if ((events & UV_DISCONNECT) && c->fd >= 0 && (wanted_events(c) & UV_DISCONNECT))
		on_disconnect(c, status < 0);
	if (c->fd >= 0 && (unwanted || wanted_events(c) & ~c->events))
		arm(c, wanted_events(c));
}

static int set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int one = 1;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	/* Fails where the socket is no TCP, which is fine. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

int conn_open_take(struct conn *c, struct worker *w, int fd, const struct conn_ops *ops, void *user)
{
	int err = set_flags(fd);

	*c = (struct conn){.worker = w, .ops = ops, .user = user, .fd = fd};
	if (!err)
		err = uv_poll_init(&w->loop, &c->poll, fd);
	if (err) {
		close(fd);
		c->fd = -1;
		return err;
	}
	c->poll.data = c;
	return 0;
}

void conn_want_read(struct conn *c, bool wants)
{
	c->wants_read = wants;
	if (wants && !(c->events & UV_READABLE))
		arm(c, wanted_events(c));
}

void conn_want_write(struct conn *c)
{
	c->wants_write = true;
	if (!(c->events & UV_WRITABLE))
		arm(c, wanted_events(c));
}

ssize_t conn_read(struct conn *c, void *buf, size_t size)
{
	ssize_t n;

	do {
		n = recv(c->fd, buf, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		c->has_ended = true;
	worker_forget_now(c->worker); /* these bytes may be newer than what it last told */
	return n < 0 ? -errno : n;
}

ssize_t conn_writev(struct conn *c, const struct iovec *iov, int count)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
	ssize_t n;

	do {
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void conn_set_abortive(struct conn *c, bool is_abortive)
{
	struct linger linger = {.l_onoff = is_abortive, .l_linger = 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	c->ops->closed(c);
}

void conn_set_low_water(struct conn *c, uint32_t bytes)
{
	int value = (int)bytes;

	setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

void conn_shutdown(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
}

void conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	c->wants_read = c->wants_write = false;
	uv_close((uv_handle_t *)&c->poll, on_closed);
	close(c->fd);
	c->fd = -1;
}

static void ipv6_text(const struct sockaddr_in6 *a, char ret_text[ADDRESS_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
		/* An IPv4 peer of a listener on "::". */
		inet_ntop(AF_INET, &a->sin6_addr.s6_addr[12], ip, sizeof(ip));
		snprintf(ret_text, ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs(a->sin6_port));
		return;
	}
	inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof(ip));
	snprintf(ret_text, ADDRESS_TEXT_MAX, "[%s]:%u", ip, ntohs(a->sin6_port));
}

void sockaddr_text(const struct sockaddr_storage *a, char ret_text[ADDRESS_TEXT_MAX])
{
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)a;
		char ip[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(ret_text, ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs(in->sin_port));
	} else if (a->ss_family == AF_INET6) {
		ipv6_text((const struct sockaddr_in6 *)a, ret_text);
	} else {
		snprintf(ret_text, ADDRESS_TEXT_MAX, "?");
	}
}
