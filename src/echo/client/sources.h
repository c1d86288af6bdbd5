/* Source addresses: the nth one of a prefix. Each has some 28,000 ports towards one server, so that
 * more connections need more addresses. Plain arithmetic. */
#ifndef ECHO_SOURCES_H
#define ECHO_SOURCES_H

#include "echo/common/net.h"

struct sources {
	union address first; /* port 0 */
	uint32_t count;	     /* UINT32_MAX stands for more as well; 0: the kernel chooses */
};

/* "10.1.0.0/16": all but the network's and the broadcast address (RFC 3021: both of a /31 are good;
 * IPv6 has no broadcast, its first one is the routers'). "10.1.0.9/16": those from 10.1.0.9 on.
 * 0, or -EINVAL with `ret_why`. */
int sources_parse(const char *text, struct sources *ret, char ret_why[WHY_BYTES_MAX]);
/* `index` is below `count`. */
union address sources_nth(const struct sources *s, uint32_t index);

#endif
