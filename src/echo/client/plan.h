/* What is to be done, as one plain struct: the command line, checked. */
#ifndef ECHO_PLAN_H
#define ECHO_PLAN_H

#include "common/base/fail.h"
#include "common/conf/conf.h"
#include "echo/client/sources.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* More sizes are no chart any more, and each has a histogram of 15 KiB in every worker. */
#define PLAN_SIZES_MAX 16u
/* Of 20,000 open files each: 5 million connections, which no machine of ours has memory for. */
#define PLAN_WORKERS_MAX 256u
#define PLAN_CONNECTIONS_MAX (16u * MIB)
/* Each worker's connections have numbers of their own, of which attempts that are repeated take
 * some (worker_seed()). */
#define PLAN_WORKER_NUMBERS MIB
#define PLAN_WORKER_CONNECTIONS_MAX (PLAN_WORKER_NUMBERS - 1024u)
#define PLAN_UNLIMITED UINT32_MAX

enum model { MODEL_THREAD, MODEL_FORK, MODEL_EVENT };
enum test { TEST_CONNECTIONS, TEST_THROUGHPUT, TEST_LATENCY };

static inline const char *model_name(enum model model)
{
	static const char *const names[] = {
		[MODEL_THREAD] = "thread", [MODEL_FORK] = "fork", [MODEL_EVENT] = "event"};

	return names[model];
}

static inline const char *test_name(enum test test)
{
	static const char *const names[] = {[TEST_CONNECTIONS] = "connections",
					    [TEST_THROUGHPUT] = "throughput",
					    [TEST_LATENCY] = "latency"};

	return names[test];
}

struct plan {
	enum model model;
	enum test test;
	char host[CONF_HOST_MAX];
	union address server;
	uint32_t connections;		/* PLAN_UNLIMITED: as many as fit */
	uint32_t sizes[PLAN_SIZES_MAX]; /* bytes of a message */
	uint32_t size_count;
	uint32_t depth;
	uint64_t seconds_ms, warm_up_ms, hold_ms, timeout_ms;
	uint32_t verify;	   /* connections; PLAN_UNLIMITED: all */
	struct sources sources;	   /* count 0: none, the kernel chooses */
	unsigned source_interface; /* 0: the addresses are there */
	uint32_t workers;	   /* 0: as many as are needed */
	pid_t server_pid;	   /* 0: not known */
	bool is_json;
};

enum plan_result { PLAN_RUN, PLAN_DONE, PLAN_FAILED };

/* Parses the command line. PLAN_DONE: --help or --version was all; PLAN_FAILED: one line was
 * printed to standard error. */
enum plan_result plan_parse(int argc, char **argv, struct plan *ret);

#endif
