/* mpp_dataplane_proxy: see proxy.h and man/mpp_dataplane_proxy.1. */
#include "common/base/log.h"
#include "proxy/proxy.h"

#include <string.h>

static int start(struct daemon *d)
{
	struct proxy *px = d->user;
	char why[256];

	px->sides[HOP_UP].count = d->conf.listen_count;
	memcpy(px->sides[HOP_UP].list, d->conf.listen, sizeof(d->conf.listen));
	px->sides[HOP_DOWN].count = d->conf.backend_count;
	memcpy(px->sides[HOP_DOWN].list, d->conf.backend, sizeof(d->conf.backend));
	if (gate_open(&px->gate, d, d->conf.listen, d->conf.listen_count, proxy_arrived, why) < 0) {
		log_error("%s", why);
		return 2;
	}
	return gate_start(&px->gate) < 0;
}

static void stop_listening(struct daemon *d)
{
	struct proxy *px = d->user;

	gate_close(&px->gate);
}

static const struct daemon_ops ops = {
	.module = MODULE_PROXY,
	.program = "mpp_dataplane_proxy",
	.start = start,
	.worker_open = proxy_worker_open,
	.stop_listening = stop_listening,
	.health = proxy_health,
	.stats = proxy_stats,
	.paths = proxy_paths,
	.sessions = proxy_sessions,
	.reset = proxy_reset,
	.drain = proxy_drain,
	.stop = proxy_stop,
	.worker_freed = proxy_worker_freed,
	.set_weight = proxy_set_weight,
	.add_path = proxy_add_path,
	.remove_path = proxy_remove_path,
};

int main(int argc, char **argv)
{
	struct proxy proxy = {.is_changing = false};

	return daemon_main(&ops, argc, argv, &proxy);
}
