/* A stream's socket: bound to its group and port, joined on the interface. */
#ifndef SINK_JOIN_H
#define SINK_JOIN_H

#include "mcast/sink/plan.h"

/* Non-blocking, with the kernel's stamps of arrival. A negative errno with `ret_why`. */
int join_open(const struct plan *plan, uint32_t index, int *ret_fd, char ret_why[WHY_BYTES_MAX]);
/* What the socket had no room for, since it was opened. */
uint64_t join_dropped(int fd);

#endif
