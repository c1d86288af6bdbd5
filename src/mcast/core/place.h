/* Where packets are: an interface, an address and a port. When one rule writes to the place that
 * another one reads, packets go from the one to the other. */
#ifndef MCAST_PLACE_H
#define MCAST_PLACE_H

#include "mcast/core/rule.h"

struct place {
	const char *interface; /* borrowed */
	struct ip address;
	uint16_t port;
};

struct place place_of_input(const struct rule_input *in);
struct place place_of_output(const struct rule_output *out);
bool place_is_same(const struct place *a, const struct place *b);
/* The same in every process: names of interfaces and addresses are the operators' choice. */
uint64_t place_hash(const struct place *p);

#endif
