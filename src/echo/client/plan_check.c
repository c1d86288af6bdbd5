/* What cannot be said of one option alone, and the defaults that depend on others. */
#include "echo/client/plan_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

/* Few enough for a look at the cache misses of a chain, and for a thread each. */
#define CONNECTIONS_DEFAULT 100u
#define LOOPBACK_POOL "127.0.0.0/8"
#define LOOPBACK_NET 127u

static bool is_loopback_v4(const union address *a)
{
	return a->any.sa_family == AF_INET && ntohl(a->v4.sin_addr.s_addr) >> 24 == LOOPBACK_NET;
}

static enum plan_result check_sources(const struct draft *d, struct plan *plan)
{
	const char *pool = d->sources;
	char why[WHY_BYTES_MAX];

	if (!pool && is_loopback_v4(&plan->server))
		pool = LOOPBACK_POOL;
	if (d->source_dev && !d->sources)
		return fail_plan("--source-dev: expected --sources=ADDR/PREFIX with it");
	if (pool && sources_parse(pool, &plan->sources, why))
		return fail_plan("--sources \"%s\": %s", pool, why);
	if (pool && plan->sources.first.any.sa_family != plan->server.any.sa_family)
		return fail_plan("--sources \"%s\": not of the address family of the server", pool);
	if (!d->source_dev)
		return PLAN_RUN;
	plan->source_interface = if_nametoindex(d->source_dev);
	if (plan->source_interface == 0)
		return fail_plan("--source-dev \"%s\": there is no such interface", d->source_dev);
	return PLAN_RUN;
}

enum plan_result plan_check(const struct draft *d, struct plan *plan)
{
	char why[WHY_BYTES_MAX];

	if (!d->has_model)
		return fail_plan("--model: expected thread, fork or event; --help tells more");
	if (!d->has_test)
		return fail_plan(
			"--test: expected connections, throughput or latency; --help tells more");
	if (!d->has_connections)
		plan->connections =
			plan->test == TEST_CONNECTIONS ? PLAN_UNLIMITED : CONNECTIONS_DEFAULT;
	if (plan->test != TEST_CONNECTIONS && plan->connections == PLAN_UNLIMITED)
		return fail_plan("--connections \"max\": expected a number with --test %s",
				 test_name(plan->test));
	if (plan->workers > plan->connections)
		return fail_plan("--workers %u: more than connections", plan->workers);
	plan->server_pid = (pid_t)d->server_pid;
	if (plan->server_pid && kill(plan->server_pid, 0) < 0 && errno == ESRCH)
		return fail_plan("--server-pid %d: there is no such process",
				 (int)plan->server_pid);
	if (net_resolve(plan->host, (uint16_t)d->port, &plan->server, why))
		return fail_plan("--host %s", why);
	return check_sources(d, plan);
}
