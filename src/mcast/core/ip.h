/* An IPv4 or IPv6 address as a plain value, and as text. */
#ifndef MCAST_IP_H
#define MCAST_IP_H

#include <stdbool.h>
#include <stdint.h>

enum ip_family { IP_NONE, IP_V4, IP_V6 };

struct ip {
	enum ip_family family; /* IP_NONE: not given */
	uint8_t bytes[16];     /* network order; of IPv4 the first four, the others 0 */
};

#define IP_TEXT_MAX 46 /* as INET6_ADDRSTRLEN */

/* A literal, IPv4 or IPv6 without brackets; an IPv4 address in the form of IPv6 (::ffff:10.0.0.1)
 * becomes IPv4, so that one address has one value. 0 or -EINVAL. */
int ip_parse(const char *text, struct ip *ret);
void ip_text(const struct ip *ip, char ret_text[IP_TEXT_MAX]); /* RFC 5952; "" for IP_NONE */

bool ip_is_same(const struct ip *a, const struct ip *b);
bool ip_is_multicast(const struct ip *ip);
/* 0.0.0.0 or ::. Not of IP_NONE, as the other questions. */
bool ip_is_unspecified(const struct ip *ip);
bool ip_is_broadcast(const struct ip *ip); /* 255.255.255.255 */
/* fe80::/10: without an interface it names nobody (RFC 4291, 2.5.6). */
bool ip_is_link_local_v6(const struct ip *ip);

#endif
