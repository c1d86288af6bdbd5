/* How many connections one worker process can have. */
#ifndef ECHO_CAPACITY_H
#define ECHO_CAPACITY_H

#include "echo/client/plan.h"

/* Never 0: what does not fit shows then. Raises the limit of open files. */
uint32_t capacity_of_worker(enum model model);
uint32_t capacity_processors(void);

#endif
