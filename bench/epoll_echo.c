/* An echo server that is a bare epoll loop, as the measure of what a library costs: one thread,
 * one read and one write for each event, and no more care than that takes (a client that does not
 * read holds up all).
 *
 *	epoll_echo HOST PORT
 *
 * Prints "ready" when it listens. */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 1024

static int watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_one(int epoll, int listener)
{
	int fd = peer_accept(listener);

	if (fd >= 0 && watch(epoll, fd) < 0)
		close(fd);
}

static void echo_once(int fd)
{
	static uint8_t block[PEER_BLOCK_BYTES];
	ssize_t n = read(fd, block, sizeof(block));

	if (n <= 0 || peer_send(fd, block, (size_t)n) < 0)
		close(fd);
}

static int serve(int listener)
{
	struct epoll_event events[EVENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || watch(epoll, listener) < 0)
		return -errno;
	puts("ready");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++)
			if (events[i].data.fd == listener)
				accept_one(epoll, listener);
			else
				echo_once(events[i].data.fd);
	}
}

int main(int argc, char **argv)
{
	uint64_t port;
	int listener, err;

	if (argc != 3) {
		fputs("usage: epoll_echo HOST PORT\n", stderr);
		return PEER_USAGE;
	}
	if (peer_number("PORT", argv[2], 1, UINT16_MAX, &port) < 0)
		return PEER_USAGE;
	peer_raise_descriptors();
	listener = peer_listen(argv[1], (uint16_t)port);
	err = listener < 0 ? listener : serve(listener);
	fprintf(stderr, "epoll_echo: %s:%s: %s\n", argv[1], argv[2], strerror(-err));
	return PEER_FAILED;
}
