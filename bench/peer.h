/* What the benchmark's own clients and servers share: blocking sockets over IPv4, and the pattern
 * that every byte is checked against. They run on one machine, so what they tell each other is in
 * its byte order. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "common/base/pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_BLOCK_BYTES PATTERN_PIECE_MAX

/* What a ping-pong begins with, for a server that does other things too. */
#define PEER_HELLO_BYTES 8u
#define PEER_PING "pingpong"

enum peer_exit { PEER_FINE = 0, PEER_FAILED = 1, PEER_USAGE = 2, PEER_WRONG_BYTES = 3 };

/* A socket, or a negative errno; without Nagle's algorithm. */
int peer_connect(const char *host, uint16_t port);
int peer_listen(const char *host, uint16_t port);
int peer_accept(int listener);

/* Serves each client in a process of its own, for ever; `one` closes its socket. */
_Noreturn void peer_serve(int listener, void (*one)(int fd, const void *arg), const void *arg);

/* All of it: 0, a negative errno, or -ENODATA when the stream ends before. */
int peer_send(int fd, const void *bytes, size_t len);
int peer_receive(int fd, void *ret_bytes, size_t len);

/* Sends back what comes until the stream ends, then closes `fd`. */
void peer_echo(int fd);

/* Soft limit of descriptors up to the hard one. */
void peer_raise_descriptors(void);

/* 0, or -EINVAL after one line on standard error. */
int peer_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret);

#endif
