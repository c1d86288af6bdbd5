/* What is asked of Linux's TCP, and told to it, beyond what the C library knows. Its own header
 * cannot be included beside the C library's, which libuv includes. */
#ifndef IO_TCPINFO_H
#define IO_TCPINFO_H

#include "common/io/stall.h"

/* All but now_us. 0 or a negative errno: -ENOTCONN when the connection is dead. What an older
 * kernel does not tell is taken for an open window. */
int tcpinfo_look(int fd, struct stall_look *ret);

/* The longest pause between two retransmissions. From Linux 6.15 on; others ignore it. */
void tcpinfo_set_rto_max(int fd, int rto_max_ms);

#endif
