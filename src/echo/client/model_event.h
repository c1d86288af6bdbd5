/* The event model: one loop for all connections of a worker. model_event.c has the loop and the
 * stages, client.c the connections. */
#ifndef ECHO_MODEL_EVENT_H
#define ECHO_MODEL_EVENT_H

#include "echo/client/client.h"
#include "echo/client/dial.h"
#include "echo/client/meter.h"

#include <uv.h>

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
	uint32_t size_index;
	struct measured measured; /* of the run that goes on: the result gets it when it is over */
	uint8_t buffer[PATTERN_PIECE_MAX]; /* every read: it is compared at once */
};

/* Something has ended: goes on with the stage, and answers the order when all of it has. */
void event_step(struct event *e);

#endif
