/* One run: from a seed a topology, links, clients and faults are drawn, the world runs until
 * every stream has ended, and everything that must hold then is checked. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "changes.h"

#include <stdbool.h>
#include <stdint.h>

struct scenario_result {
	uint64_t seed;
	int aim;      /* the aimed fault's index; -1: none */
	bool has_hit; /* it happened */
	unsigned changes[CHANGE_KINDS];
	char topology[64];
	char failure[256]; /* empty: all was well */
};

struct scenario_result scenario_run(uint64_t seed, bool is_traced);

#endif
