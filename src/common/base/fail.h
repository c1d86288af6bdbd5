/* Saying in one line what is wrong, and the value to return with it. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include "common/base/limits.h"

/* Of our programs. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* who was asked said no */
	EXIT_FAILED = 2,  /* wrong usage, or it could not begin */
};

/* For the caller: the line goes to `ret_why`, cut if need be. Returns -EINVAL. */
int fail_why(char ret_why[WHY_BYTES_MAX], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* For the user: "<program>: <line>" goes to standard error. Returns EXIT_FAILED. */
enum exit_code fail_exit(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
