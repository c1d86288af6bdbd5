#include "echo/common/counters.h"

#include <errno.h>

const char *counter_name(enum counter counter)
{
	static const char *const names[] = {
		[COUNTER_ACCEPTED] = "accepted", [COUNTER_OPEN] = "open",
		[COUNTER_BYTES] = "bytes",	 [COUNTER_READS] = "reads",
		[COUNTER_ENDED] = "ended",	 [COUNTER_RESET] = "reset",
		[COUNTER_FAILED] = "failed",	 [COUNTER_STALLED] = "stalled",
		[COUNTER_NO_FILES] = "no_files", [COUNTER_NO_MEMORY] = "no_memory",
		[COUNTER_NO_TASKS] = "no_tasks",
	};

	return names[counter];
}

enum counter counter_of_error(int err)
{
	switch (err) {
	case ECONNRESET:
	case EPIPE:
		return COUNTER_RESET;
	case ENOMEM:
	case ENOBUFS:
		return COUNTER_NO_MEMORY;
	default:
		return COUNTER_FAILED;
	}
}
