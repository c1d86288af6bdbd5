/* The socket by which a stream comes in. */
#ifndef RELAY_INPUT_H
#define RELAY_INPUT_H

#include "mcast/core/rule.h"

#include <stdbool.h>

struct input_kind {
	/* Datagrams may come several together (UDP_GRO), which a stream with two inputs must not
	 * have. */
	bool is_joint;
	/* It joins, and hears only what this host sends itself: packet sockets have the others. */
	bool is_own_only;
	unsigned buffer_bytes;
};

/* Bound to group and port, joined on its interface (for a source, if the rule says so), hearing
 * nothing else. 0 with the descriptor and the interface's index; -ENODEV when there is no such
 * interface; another negative errno; `ret_why` then. */
int input_open(const struct rule_input *in, const struct input_kind *kind, int *ret_fd,
	       unsigned *ret_interface, char ret_why[WHY_BYTES_MAX]);

#endif
