/* Making all connections: how many workers, how many connections each, and when it is enough. */
#ifndef ECHO_HIRING_H
#define ECHO_HIRING_H

#include "echo/client/crew.h"

/* Returns when no worker connects any more, or a signal came. CAUSE_NONE: all that were asked were
 * tried; else why not. */
enum cause hiring_run(struct crew *c);

#endif
