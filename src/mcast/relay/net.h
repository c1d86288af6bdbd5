/* Addresses as the kernel takes them, and interfaces by name. */
#ifndef RELAY_NET_H
#define RELAY_NET_H

#include "mcast/core/rule.h"

#include <netinet/in.h>
#include <stdint.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

/* `interface` is the scope of an IPv6 address, 0 for none. */
void address_fill(union address *ret, const struct ip *ip, uint16_t port, unsigned interface);
socklen_t address_len(const union address *a);

/* Its index, or 0 when there is none. "" is 0. */
unsigned interface_index(const char *name);

/* SO_SNDBUFFORCE and SO_RCVBUFFORCE where we may, else what the kernel's limit allows. */
void socket_set_buffer(int fd, int option, int forced_option, unsigned bytes);
/* An option of one int; 0 or a negative errno. */
int socket_set(int fd, int level, int option, int value);

#endif
