/* One connection from its first byte to its last with calls that block: what a task does. */
#ifndef SERVER_BLOCKING_H
#define SERVER_BLOCKING_H

#include "echo/common/counters.h"

/* On the stack of the caller. A read brings more than a message; twice as much made no
 * difference to the rate over loopback, and each thread would have that much more. */
#define BLOCKING_BUFFER_BYTES (16u * 1024)

/* Echoes until the client ends or an error does, closes the socket, and counts how it ended, last
 * of all that it is not open any more. */
void blocking_serve_take(int fd, struct counters *counters);

#endif
