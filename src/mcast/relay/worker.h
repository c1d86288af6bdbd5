/* A worker process: it owns streams and relays them, as the supervisor says (message.h). */
#ifndef RELAY_WORKER_H
#define RELAY_WORKER_H

#include "common/base/fail.h"

#include <stdint.h>

struct receive_ops;

struct worker_options {
	int channel, board;
	uint32_t index, seat; /* who it replaces when it dies; its place on the board */
	const char *rendezvous;
	const struct receive_ops *rx; /* by which path packets come */
};

/* Until it is told to end. It lives on when the supervisor dies. */
enum exit_code worker_run(const struct worker_options *options);

#endif
