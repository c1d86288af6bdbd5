/* One connection of the event model. */
#ifndef ECHO_CLIENT_H
#define ECHO_CLIENT_H

#include "echo/client/exchange.h"

#include <uv.h>

struct event;

enum client_state {
	CLIENT_CONNECTING,
	CLIENT_QUIET, /* connected; nothing may come */
	CLIENT_BUSY,  /* an exchange goes on */
	CLIENT_OVER,  /* closed */
};

/* One connection: 400 bytes, and nothing else while it is quiet. */
struct client {
	uv_tcp_t tcp;
	struct event *event;
	struct exchange exchange;
	uint64_t progress_ns; /* when it began to connect, or something last came back */
	uv_write_t *write;    /* what waits for room in the socket, at most one piece; or NULL */
	enum client_state state;
};

/* Begins an attempt; one that fails at once has been counted, or is to be repeated. */
void client_connect(struct event *e);
/* On a quiet one; `messages` as of exchange_begin(). */
void client_begin(struct client *c, uint32_t size, uint32_t depth, uint64_t messages);
/* Is it too late for it, or time to end its exchange? */
void client_look(struct client *c, uint64_t now_ns);

#endif
