/* The shared memory, and what is written there seldom: see board.h. */
#include "echo/client/board.h"

#include "echo/common/process.h"

#include <errno.h>

struct board *board_new(void)
{
	return process_share(sizeof(struct board));
}

int result_init(struct result *r)
{
	pthread_mutexattr_t attributes;
	int err = pthread_mutexattr_init(&attributes);

	if (err)
		return -err;
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	/* A process that is killed while it holds the lock leaves it to the next one. */
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	err = pthread_mutex_init(&r->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return err ? -err : orders_init(&r->orders);
}

void result_init_size(struct result *r, uint32_t size_index)
{
	hist_init(&r->sizes[size_index].latency_ns);
}

void measured_init(struct measured *m)
{
	m->messages = 0;
	hist_init(&m->latency_ns);
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOME_COUNT] = {
		[OUTCOME_GOOD] = "good",	   [OUTCOME_WRONG] = "wrong",
		[OUTCOME_ENDED] = "ended_early",   [OUTCOME_RESET] = "reset",
		[OUTCOME_TIMED_OUT] = "timed_out", [OUTCOME_FAILED] = "broken",
		[OUTCOME_DROPPED] = "dropped",
	};

	return names[outcome];
}

enum outcome outcome_of(int err)
{
	switch (-err) {
	case 0:
		return OUTCOME_GOOD;
	case EBADMSG:
		return OUTCOME_WRONG;
	case ENODATA:
		return OUTCOME_ENDED;
	case ECONNRESET:
	case EPIPE:
		return OUTCOME_RESET;
	case ETIMEDOUT:
		return OUTCOME_TIMED_OUT;
	default:
		return OUTCOME_FAILED;
	}
}

void result_count(struct result *r, enum outcome outcome)
{
	tally(&r->outcomes[outcome]);
}

void result_lock(struct result *r)
{
	if (pthread_mutex_lock(&r->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&r->lock);
}

void result_unlock(struct result *r)
{
	pthread_mutex_unlock(&r->lock);
}

void result_wrong(struct result *r, uint32_t connection, uint64_t offset)
{
	result_count(r, OUTCOME_WRONG);
	result_lock(r);
	if (!r->wrong.is_set)
		r->wrong = (struct wrong){offset, connection, true};
	result_unlock(r);
}

void result_measured(struct result *r, uint32_t size_index, const struct measured *m)
{
	struct measured *into = &r->sizes[size_index];

	result_lock(r);
	into->messages += m->messages;
	hist_merge(&into->latency_ns, &m->latency_ns);
	result_unlock(r);
}
