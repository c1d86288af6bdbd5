/* Sockets of the echo suite: see net.h. */
#include "echo/common/net.h"

#include "common/base/fail.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

int net_resolve(const char *host, uint16_t port, union address *ret, char ret_why[WHY_BYTES_MAX])
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char service[sizeof("65535")];
	int err;

	snprintf(service, sizeof(service), "%u", (unsigned)port);
	err = getaddrinfo(host, service, &hints, &found);
	if (err)
		return fail_why(ret_why, "\"%s\": %s", host, gai_strerror(err));
	*ret = (union address){.any.sa_family = AF_UNSPEC};
	if (found->ai_family == AF_INET6)
		ret->v6 = *(struct sockaddr_in6 *)found->ai_addr;
	else
		ret->v4 = *(struct sockaddr_in *)found->ai_addr;
	freeaddrinfo(found);
	return 0;
}

socklen_t address_len(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

uint16_t address_port(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void net_set_port(union address *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET6)
		a->v6.sin6_port = htons(port);
	else
		a->v4.sin_port = htons(port);
}

/* Bound, not listening. */
static int bind_socket(const union address *a, int share)
{
	int yes = 1;
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) == 0) &&
	    bind(fd, &a->any, address_len(a)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int net_listen(const union address *a, int backlog)
{
	int fd = bind_socket(a, 1);
	int err;

	if (fd < 0 || listen(fd, backlog) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int net_probe_port(union address *a)
{
	union address bound;
	socklen_t len = sizeof(bound);
	int fd = bind_socket(a, 0);
	int err = 0;

	if (fd < 0)
		return fd;
	if (listen(fd, 1) < 0 || getsockname(fd, &bound.any, &len) < 0)
		err = -errno;
	else
		net_set_port(a, address_port(&bound));
	close(fd);
	return err;
}

void net_nodelay(int fd)
{
	int yes = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

void net_keepalive(int fd)
{
	int yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
}
