/* One connection's exchange by one task that waits for it. */
#ifndef ECHO_BLOCKING_H
#define ECHO_BLOCKING_H

#include "echo/client/exchange.h"
#include "echo/client/meter.h"

struct blocking {
	int fd;		/* blocking; SO_RCVTIMEO says how long an echo may take */
	int timeout_ms; /* the same */
	struct exchange *x;
	const struct pattern *pattern;
	struct meter *meter;
	uint8_t *buffer; /* PATTERN_PIECE_MAX bytes to read into */
};

/* Until the exchange is done, which the meter's end brings about when it is endless. 0, or a
 * negative errno: -EBADMSG wrong bytes, -ENODATA closed by the server. */
int blocking_run(const struct blocking *b);

#endif
