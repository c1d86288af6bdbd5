/* Sockets and the pattern of the benchmark's own clients and servers (peer.h). */
#include "peer.h"

#include "common/conf/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_MANY 4096

static int set_nodelay(int fd)
{
	int yes = 1;

	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0 ? -errno : 0;
}

static int open_socket(const char *host, uint16_t port, struct sockaddr_in *ret)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd;

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -EINVAL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret = address;
	return fd;
}

int peer_connect(const char *host, uint16_t port)
{
	struct sockaddr_in address;
	int fd = open_socket(host, port, &address);
	int err;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	else
		err = set_nodelay(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int peer_listen(const char *host, uint16_t port)
{
	struct sockaddr_in address;
	int yes = 1;
	int fd = open_socket(host, port, &address);
	int err;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fd, LISTEN_MANY) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int peer_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = set_nodelay(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

void peer_serve(int listener, void (*one)(int fd, const void *arg), const void *arg)
{
	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	for (;;) {
		int fd = peer_accept(listener);

		if (fd < 0)
			continue; /* a client that was gone again */
		if (fork() == 0) {
			close(listener);
			one(fd, arg);
			_exit(0);
		}
		close(fd);
	}
}

int peer_send(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int peer_receive(int fd, void *ret_bytes, size_t len)
{
	uint8_t *at = ret_bytes;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

void peer_echo(int fd)
{
	uint8_t block[PEER_BLOCK_BYTES];
	ssize_t n;

	do {
		n = recv(fd, block, sizeof(block), 0);
	} while (n > 0 && peer_send(fd, block, (size_t)n) == 0);
	close(fd);
}

void peer_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit); /* too few show themselves in accept and socket */
}

int peer_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (parse_u64(text, min, max, ret) == 0)
		return 0;
	fprintf(stderr, "%s '%s': expected a whole number from %" PRIu64 " to %" PRIu64 "\n", name,
		text, min, max);
	return -EINVAL;
}
