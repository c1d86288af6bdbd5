/* What limits a process: see capacity.h. */
#include "echo/common/capacity.h"

#include "common/base/files.h"
#include "common/base/minmax.h"
#include "echo/common/process.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* Descriptors for other things than connections that are opened later: an epoll or io_uring,
 * events, signals, a socket that is tried; what libuv keeps for itself are eight. */
#define FILES_RESERVED 16u
/* Each thread has a stack and its guard page; the program and its libraries have some hundreds. */
#define MAPS_PER_THREAD 2u
#define MAPS_RESERVED 1000u
#define MAPS_DEFAULT 65530u /* of Linux */
/* Of the listening socket, channels and events of a process. */
#define WATCHES_RESERVED 8u
/* The other end of a connection over loopback is watched, too. */
#define WATCHES_ENDS 2u

static uint64_t read_number(const char *path, uint64_t otherwise)
{
	FILE *file = fopen(path, "re");
	char line[32];
	uint64_t value = otherwise;

	if (!file)
		return otherwise;
	if (fgets(line, sizeof(line), file))
		value = strtoull(line, NULL, 10);
	fclose(file);
	return value;
}

static uint64_t less(uint64_t all, uint64_t reserved)
{
	return all > reserved ? all - reserved : 0;
}

static uint64_t files_left(void)
{
	return less(files_raise_limit(), process_files_open() + FILES_RESERVED);
}

static uint64_t threads_most(void)
{
	uint64_t maps = read_number("/proc/sys/vm/max_map_count", MAPS_DEFAULT);

	return less(maps, MAPS_RESERVED) / MAPS_PER_THREAD;
}

uint64_t capacity_of_watches(void)
{
	/* A kernel without the file has no such limit. */
	return read_number("/proc/sys/fs/epoll/max_user_watches", UINT64_MAX) / WATCHES_ENDS;
}

static uint64_t watches_share(unsigned sharers)
{
	return less(capacity_of_watches() / sharers, WATCHES_RESERVED);
}

unsigned capacity_of_process(enum capacity_model model, unsigned sharers)
{
	uint64_t most = files_left();

	switch (model) {
	case CAPACITY_FILES:
		break;
	case CAPACITY_EVENT:
		most = min_u64(most, watches_share(sharers));
		break;
	case CAPACITY_THREADS:
		most = min_u64(most, threads_most());
		break;
	case CAPACITY_FORKS:
		most = INT32_MAX;
		break;
	}
	return (unsigned)min_u64(most > 0 ? most : 1, INT32_MAX);
}

unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}
