/* Interfaces come and go: the kernel tells (rtnetlink(7)), and all inputs are looked at. */
#include "mcast/relay/supervisor.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

/* A device that is made causes several messages, and many devices may be made at once. */
#define SETTLE_MS 50

void links_look(struct supervisor *s)
{
	rings_look(s->rings);
	list_for_each_safe(node, &s->streams)
		stream_look_at_inputs(container_of(node, struct stream, node));
}

static void on_settled(uv_timer_t *timer)
{
	links_look(timer->data);
}

/* What they say does not matter: that something has changed does. */
static void on_change(uv_poll_t *poll, int status, int events)
{
	struct supervisor *s = poll->data;
	char bytes[8192];

	(void)status;
	(void)events;
	while (recv(s->links_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		errno = 0;
	if (!uv_is_active((uv_handle_t *)&s->links_settle))
		uv_timer_start(&s->links_settle, on_settled, SETTLE_MS, 0);
}

int links_watch(struct supervisor *s)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	s->links_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (s->links_fd < 0)
		return -errno;
	if (bind(s->links_fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int err = -errno;

		close(s->links_fd);
		s->links_fd = -1; /* nothing watches it */
		return err;
	}
	uv_timer_init(&s->loop, &s->links_settle);
	uv_poll_init(&s->loop, &s->links, s->links_fd);
	s->links.data = s->links_settle.data = s;
	return uv_poll_start(&s->links, UV_READABLE, on_change);
}
