/* RLIMIT_NOFILE: see files.h. */
#include "common/base/files.h"

#include <stdint.h>
#include <sys/resource.h>

unsigned files_raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_NOFILE, &files);
	return files.rlim_cur > (rlim_t)INT32_MAX ? INT32_MAX : (unsigned)files.rlim_cur;
}
