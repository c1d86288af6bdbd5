/* Why a connection could not be made, or why no more were tried. */
#ifndef ECHO_CAUSE_H
#define ECHO_CAUSE_H

#include <stdbool.h>

enum cause {
	CAUSE_NONE,
	/* the server or the way to it */
	CAUSE_REFUSED,
	CAUSE_RESET,
	CAUSE_TIMED_OUT,
	CAUSE_UNREACHABLE,
	/* limits of this machine */
	CAUSE_NO_PORTS,
	CAUSE_NO_SOURCE,
	CAUSE_PROCESS_FILES, /* EMFILE: another process may have more */
	CAUSE_SYSTEM_FILES,  /* ENFILE */
	CAUSE_NO_MEMORY,
	CAUSE_NO_WATCHES, /* of epoll */
	CAUSE_NO_TASKS,	  /* threads or processes */
	CAUSE_NO_WORKERS,
	/* ourselves */
	CAUSE_OTHER,
	CAUSE_WORKER_LOST,
	CAUSE_INTERRUPTED,
	CAUSE_COUNT
};

/* Of a negative errno of socket, bind or connect. */
enum cause cause_of(int err);
/* "refused", "timed_out", ...; for CAUSE_NONE "all" */
const char *cause_name(enum cause cause);
/* As an answer to "stopped by?" */
const char *cause_words(enum cause cause);
/* A limit of this machine, which is where the search for the largest number ends well. */
bool cause_is_limit(enum cause cause);

#endif
