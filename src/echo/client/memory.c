/* A look at /proc: see memory.h. */
#include "echo/client/memory.h"

#include "echo/common/process.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Of all memory: what kernel and server still need of their own for the connections that are there
 * (a message on each: a page at either end), and before the kernel kills processes. */
#define RESERVE_PERCENT 5
/* Two looks agree: a hundredth of what 1,000 connections cost. */
#define SETTLED_BYTES (100 * 1024)
#define SETTLE_PAUSE_NS 50000000l
#define SETTLE_LOOKS_MAX 40

static int64_t look_up(const char *name)
{
	return process_bytes_in("/proc/meminfo", name);
}

static int64_t available(void)
{
	return look_up("MemAvailable:");
}

struct memory memory_look(pid_t server_pid)
{
	struct memory m = {.available_bytes = available(),
			   .client_bytes = (int64_t)process_tree_memory(getpid())};

	if (server_pid)
		m.server_bytes = (int64_t)process_tree_memory(server_pid);
	return m;
}

void memory_settle(void)
{
	const struct timespec pause = {.tv_nsec = SETTLE_PAUSE_NS};
	int64_t last = available();

	for (int i = 0; i < SETTLE_LOOKS_MAX; i++) {
		int64_t now;

		nanosleep(&pause, NULL);
		now = available();
		if (llabs(now - last) <= SETTLED_BYTES)
			return;
		last = now;
	}
}

bool memory_is_scarce(void)
{
	int64_t left = available(), all = look_up("MemTotal:");

	return left >= 0 && all > 0 && left < all / 100 * RESERVE_PERCENT;
}
