/* The event model: one loop for all connections of a worker. model_event.c has the loop and the
 * stages, event_client.c the connections. */
#ifndef ECHO_MODEL_EVENT_H
#define ECHO_MODEL_EVENT_H

#include "echo/client/dial.h"
#include "echo/client/exchange.h"
#include "echo/client/meter.h"

#include <uv.h>

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

struct event {
	struct worker *worker;
	uv_loop_t loop;
	uv_poll_t channel;
	uv_timer_t tick;
	struct dial dial;
	struct client *clients;
	uint32_t client_count, client_max; /* used, and that there is room for */

	enum stage stage; /* of the order that is being carried out, if one is */
	bool is_working, is_stepping;
	uint32_t quota, tried; /* connections to make, and attempts so far */
	uint32_t under_way;    /* connecting or busy */
	/* verification: so many of those that are held; how far we are in all, and in the held */
	uint32_t sample, held, looked_at, passed;
	struct meter meter;
	uint8_t buffer[PATTERN_PIECE_MAX]; /* every read: it is compared at once */
};

/* Something has ended: goes on with the stage, and answers the order when all of it has. */
void event_step(struct event *e);

/* Begins an attempt; one that fails at once has been counted, or is to be repeated. */
void client_connect(struct event *e);
/* On a quiet one; `messages` as of exchange_begin(). */
void client_begin(struct client *c, uint32_t size, uint32_t depth, uint64_t messages);
/* Is it too late for it, or time to end its exchange? */
void client_look(struct client *c, uint64_t now_ns);

#endif
