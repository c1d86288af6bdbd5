/* Addresses and listening sockets. */
#ifndef ECHO_NET_H
#define ECHO_NET_H

#include "common/base/limits.h"

#include <netinet/in.h>
#include <stdint.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* `host` is a name or a number, IPv4 or IPv6; `why` is filled when it returns a negative errno. */
int net_resolve(const char *host, uint16_t port, union address *ret, char ret_why[WHY_BYTES_MAX]);
socklen_t address_len(const union address *a);
uint16_t address_port(const union address *a);
void net_set_port(union address *a, uint16_t port);

/* A non-blocking listening socket that shares its port (SO_REUSEPORT) with others of this user.
 * A negative errno when it cannot be had. */
int net_listen(const union address *a, int backlog);
/* -EADDRINUSE when somebody, of whatever user, listens there already; 0 with the port filled in
 * when it was 0. What net_listen() cannot find out. The port is free again then: who takes it first
 * has it. */
int net_probe_port(union address *a);

/* Without Nagle's algorithm. */
void net_nodelay(int fd);
/* Clients that vanished without a word are noticed, after hours. */
void net_keepalive(int fd);

#endif
