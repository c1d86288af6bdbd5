/* The loop: what is due goes out, and then it sleeps. */
#ifndef GENERATOR_GENERATOR_H
#define GENERATOR_GENERATOR_H

#include "mcast/generator/sender.h"

/* Blocks SIGINT and SIGTERM; they end generator_run. */
void generator_block_signals(void);
/* Sends all of the plan. True: a signal ended it. */
bool generator_run(struct sender *sender);

#endif
