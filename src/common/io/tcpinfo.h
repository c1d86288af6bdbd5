/* What is asked of Linux's TCP, and told to it, beyond what the C library knows. Its own header
 * cannot be included beside the C library's, which libuv includes. */
#ifndef IO_TCPINFO_H
#define IO_TCPINFO_H

#include "common/io/stall.h"

#include <stddef.h>

/* All but now_us. 0 or a negative errno: -ENOTCONN when the connection is dead. What an older
 * kernel does not tell is taken for an open window. */
int tcpinfo_look(int fd, struct stall_look *ret);

/* Of a connection that has failed with this negative errno: how many of the last bytes written have
 * certainly not arrived. A reset comes behind the peer's last acknowledgement; a failure of our own
 * end says nothing of what is under way. */
size_t tcpinfo_undelivered_bytes(int fd, int err);

/* The longest pause between two retransmissions. From Linux 6.15 on; others ignore it. */
void tcpinfo_set_rto_max(int fd, int rto_max_ms);

#endif
