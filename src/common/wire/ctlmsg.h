/* The original's one-byte commands of the comm socket (docs/protocol.md, "The comm socket"):
 * bytes from outside become checked commands. Nothing here keeps state or touches a socket;
 * the replies are one byte each and need no code. */
#ifndef WIRE_CTLMSG_H
#define WIRE_CTLMSG_H

#include "common/base/limits.h"

#include <stddef.h>
#include <stdint.h>

enum ctlmsg_op {
	CTLMSG_HEALTH_CHECK = '1',
	CTLMSG_UPDATE_TOPO_PRE =
		'2', /* then '0' + n, and n times an address; 1 <= n <= PATHS_MAX */
	CTLMSG_UPDATE_TOPO = '3',
	CTLMSG_RESET = '4',
	CTLMSG_CLOSE = '5', /* has no reply */
};

#define CTLMSG_SUCCESS '6'
#define CTLMSG_FAILURE '7'

/* On the wire 6 bytes, both big endian. */
struct ctlmsg_address {
	uint8_t ip[4];
	uint16_t port; /* never 0 */
};

struct ctlmsg {
	enum ctlmsg_op op;
	size_t address_count; /* 0 but for update_topo_pre */
	struct ctlmsg_address addresses[PATHS_MAX];
};

/* Takes one command off the front of `in`. 1: `ret` is filled and `ret_used` says how many bytes
 * it took; 0: it is not there whole yet; -EPROTO: no command starts so, whatever may follow. */
int ctlmsg_decode(const uint8_t *in, size_t len, size_t *ret_used, struct ctlmsg *ret);

/* "health_check": the same operation's name in the other dialects. */
const char *ctlmsg_op_name(enum ctlmsg_op op);

#endif
