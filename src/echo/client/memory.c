/* A look at /proc: see memory.h. */
#include "echo/client/memory.h"

#include "echo/common/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t available(void)
{
	static const char name[] = "MemAvailable:";
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	int64_t kib = 0;

	if (!file)
		return 0;
	while (kib == 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, name, sizeof(name) - 1) == 0)
			kib = strtoll(line + sizeof(name) - 1, NULL, 10);
	fclose(file);
	return kib * 1024;
}

struct memory memory_look(pid_t server_pid)
{
	struct memory m = {.available_bytes = available(),
			   .client_bytes = (int64_t)process_tree_memory(getpid())};

	if (server_pid)
		m.server_bytes = (int64_t)process_tree_memory(server_pid);
	return m;
}
