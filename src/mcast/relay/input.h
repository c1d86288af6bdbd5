/* The socket by which a stream comes in. */
#ifndef RELAY_INPUT_H
#define RELAY_INPUT_H

#include "mcast/core/rule.h"

#include <stdbool.h>

/* Bound to group and port, joined on its interface (for a source, if the rule says so), hearing
 * nothing else. `is_joint`: datagrams may come several together (UDP_GRO), which a stream with two
 * inputs must not have. 0 with the descriptor and the interface's index; -ENODEV when there is no
 * such interface; another negative errno; `ret_why` then. */
int input_open(const struct rule_input *in, bool is_joint, unsigned buffer_bytes, int *ret_fd,
	       unsigned *ret_interface, char ret_why[WHY_BYTES_MAX]);

#endif
