/* The connection to a relay's control socket: docs/multicast.md has the operations. Each reply has
 * to come within the time limit. */
#ifndef MCAST_RELAY_H
#define MCAST_RELAY_H

#include "common/base/limits.h"
#include "common/io/asker.h"

#include <stdint.h>

struct relay {
	struct asker asker;
	uint32_t timeout_ms;
};

/* All of them: 0, or a negative errno with a few words. */
int relay_open(struct relay *r, const char *path, uint32_t timeout_ms, char ret_why[WHY_BYTES_MAX]);
void relay_close(struct relay *r);

/* Several requests may be pushed before their replies are taken. */
int relay_push(struct relay *r, const json_t *request, char ret_why[WHY_BYTES_MAX]);
int relay_next(struct relay *r, json_t **ret_reply, char ret_why[WHY_BYTES_MAX]);

/* One question with nothing else under way; the caller owns the reply. */
int relay_ask(struct relay *r, const json_t *request, json_t **ret_reply,
	      char ret_why[WHY_BYTES_MAX]);

/* `list` or `stats` in parts ("from", "count"): one reply with all that there is in its list `key`.
 * A reply that is a refusal is given as it is. */
int relay_ask_all(struct relay *r, const char *op, const char *key, json_t **ret_reply,
		  char ret_why[WHY_BYTES_MAX]);

#endif
