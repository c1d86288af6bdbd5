/* How many connections processes can hold. */
#ifndef ECHO_COMMON_CAPACITY_H
#define ECHO_COMMON_CAPACITY_H

#include <stdint.h>

/* What a connection costs its process. */
enum capacity_model {
	CAPACITY_FILES,	  /* a descriptor */
	CAPACITY_EVENT,	  /* and a watch of epoll, of which each user has only so many */
	CAPACITY_THREADS, /* a descriptor and a thread */
	CAPACITY_FORKS,	  /* neither: each child has its own */
};

/* At least 1, so that what does not fit shows then, and INT32_MAX at the most. Raises the limit of
 * open files. `sharers`: processes of this user and program, at least 1, that take from the same
 * watches. */
unsigned capacity_of_process(enum capacity_model model, unsigned sharers);
/* Of all processes of this user and program, by their watches; half of those are left to the
 * program at the other end. libuv abort()s when there is none, so that limit must never be met. */
uint64_t capacity_of_watches(void);

/* That this process may run on. */
unsigned processors(void);

#endif
