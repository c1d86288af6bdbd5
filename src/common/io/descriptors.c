/* The kernel hands out the lowest free number: one near the limit says that the others are used. */
#include "common/io/descriptors.h"

#include "common/base/limits.h"

#include <sys/resource.h>
#include <unistd.h>

bool descriptors_are_short(void)
{
	struct rlimit limit;
	int next = dup(STDERR_FILENO);

	if (next < 0)
		return true;
	close(next);
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	       (rlim_t)next + DESCRIPTORS_RESERVED >= limit.rlim_cur;
}
