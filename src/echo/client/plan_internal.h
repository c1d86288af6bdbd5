/* Between plan.c, which reads options one by one, and plan_check.c, which looks at them together.
 */
#ifndef ECHO_PLAN_INTERNAL_H
#define ECHO_PLAN_INTERNAL_H

#include "echo/client/plan.h"

/* What is not yet part of the plan. */
struct draft {
	const char *sources, *source_dev; /* NULL: not given */
	uint32_t port;
	uint32_t server_pid; /* 0: not given */
	bool has_model, has_test, has_connections;
};

#define fail_plan(...) (fail_exit(__VA_ARGS__), PLAN_FAILED)

enum plan_result plan_check(const struct draft *d, struct plan *plan);

#endif
