/* The test from the first connection to the last byte. */
#ifndef ECHO_TRIAL_H
#define ECHO_TRIAL_H

#include "echo/client/crew.h"
#include "echo/client/summary.h"

/* Ends early when a signal comes. `ret` is filled in either case. */
void trial_run(struct crew *c, struct summary *ret);

#endif
