/* Words and values of failures: see fail.h. */
#include "common/base/fail.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int fail_why(char ret_why[WHY_BYTES_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ret_why, WHY_BYTES_MAX, fmt, args);
	va_end(args);
	return -EINVAL;
}

enum exit_code fail_exit(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vwarnx(fmt, args);
	va_end(args);
	return EXIT_FAILED;
}
