/* Errors in words: see cause.h. */
#include "echo/client/cause.h"

#include <errno.h>

enum cause cause_of(int err)
{
	switch (-err) {
	case ECONNREFUSED:
		return CAUSE_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return CAUSE_RESET;
	case ETIMEDOUT:
	case EINPROGRESS: /* connect(2) of a socket with SO_SNDTIMEO says so */
		return CAUSE_TIMED_OUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
		return CAUSE_UNREACHABLE;
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return CAUSE_NO_PORTS;
	case EMFILE:
		return CAUSE_PROCESS_FILES;
	case ENFILE:
		return CAUSE_SYSTEM_FILES;
	case ENOMEM:
	case ENOBUFS:
		return CAUSE_NO_MEMORY;
	default:
		return CAUSE_OTHER;
	}
}

struct word {
	const char *name, *words;
};

static const struct word words[CAUSE_COUNT] = {
	[CAUSE_NONE] = {"all", "nothing, all were tried"},
	[CAUSE_REFUSED] = {"refused", "the server refuses connections"},
	[CAUSE_RESET] = {"reset", "the server resets connections"},
	[CAUSE_TIMED_OUT] = {"timed_out", "the server does not answer in time"},
	[CAUSE_UNREACHABLE] = {"unreachable", "there is no way to the server"},
	[CAUSE_NO_PORTS] = {"no_ports", "no more source ports"},
	[CAUSE_NO_SOURCE] = {"no_source", "a source address cannot be used"},
	[CAUSE_PROCESS_FILES] = {"process_files", "no more open files in a process"},
	[CAUSE_SYSTEM_FILES] = {"system_files", "no more open files in the system"},
	[CAUSE_NO_MEMORY] = {"no_memory", "no more memory"},
	[CAUSE_NO_WATCHES] = {"no_watches", "half of the watches of epoll are taken, the others "
					    "are the server's (fs.epoll.max_user_watches)"},
	[CAUSE_NO_TASKS] = {"no_tasks", "no more threads or processes"},
	[CAUSE_NO_WORKERS] = {"no_workers", "the workers have as many as they can"},
	[CAUSE_OTHER] = {"other", "an error"},
	[CAUSE_WORKER_LOST] = {"worker_lost", "a worker ended unexpectedly"},
	[CAUSE_INTERRUPTED] = {"interrupted", "a signal"},
};

const char *cause_name(enum cause cause)
{
	return words[cause].name;
}

const char *cause_words(enum cause cause)
{
	return words[cause].words;
}

bool cause_is_limit(enum cause cause)
{
	return cause >= CAUSE_NO_PORTS && cause <= CAUSE_NO_WORKERS;
}
