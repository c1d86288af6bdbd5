/* What limits a process: see capacity.h. */
#include "echo/client/capacity.h"

#include "common/base/minmax.h"
#include "echo/common/process.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* Files that a worker opens for itself: its channel, epoll, event and signal descriptors, one to
 * try a source address. */
#define FILES_RESERVED 16u
/* Each thread has a stack and its guard page; the program and its libraries have some hundreds. */
#define MAPS_PER_THREAD 2u
#define MAPS_RESERVED 1000u
#define MAPS_DEFAULT 65530u /* of Linux */

static uint64_t read_number(const char *path, uint64_t otherwise)
{
	FILE *file = fopen(path, "re");
	char line[32];
	uint64_t value = 0;

	if (!file)
		return otherwise;
	if (fgets(line, sizeof(line), file))
		value = strtoull(line, NULL, 10);
	fclose(file);
	return value ? value : otherwise;
}

static uint64_t files_left(void)
{
	uint64_t used = process_files_open() + FILES_RESERVED, max = process_raise_files();

	return max > used ? max - used : 1;
}

static uint64_t threads_max(void)
{
	uint64_t maps = read_number("/proc/sys/vm/max_map_count", MAPS_DEFAULT);

	return maps > MAPS_RESERVED ? (maps - MAPS_RESERVED) / MAPS_PER_THREAD : 1;
}

uint32_t capacity_of_worker(enum model model)
{
	uint64_t max = PLAN_CONNECTIONS_MAX;

	switch (model) {
	case MODEL_EVENT:
		max = files_left();
		break;
	case MODEL_THREAD:
		max = min_u64(files_left(), threads_max());
		break;
	case MODEL_FORK:
		break; /* each process has its own files */
	}
	return (uint32_t)min_u64(max, PLAN_WORKER_CONNECTIONS_MAX);
}

uint32_t capacity_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}
