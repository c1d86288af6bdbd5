/* Addresses of an interface, by rtnetlink(7). Those that we add are valid for a minute only and
 * have to be refreshed: were we killed, they go by themselves. */
#ifndef ECHO_RTADDR_H
#define ECHO_RTADDR_H

#include "echo/common/net.h"

/* How often rtaddr_refresh() is to be called. */
#define RTADDR_REFRESH_S 15u

/* 0 or a negative errno; -EEXIST: it is there, and not ours. */
int rtaddr_add(unsigned interface, const union address *a);
int rtaddr_refresh(unsigned interface, const union address *a);
int rtaddr_remove(unsigned interface, const union address *a);

#endif
