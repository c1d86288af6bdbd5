/* mpp_adv_egress: see egress.h and man/mpp_adv_egress.1. */
#include "common/base/log.h"
#include "egress/egress.h"

#include <string.h>

static int start(struct daemon *d)
{
	struct egress *eg = d->user;
	char why[256];

	topo_init(&eg->topo, d->conf.listen, d->conf.listen_count);
	if (gate_open(&eg->gate, d, d->conf.listen, d->conf.listen_count, egress_arrived, why) <
	    0) {
		log_error("%s", why);
		return 2;
	}
	return gate_start(&eg->gate) < 0;
}

static void stop_listening(struct daemon *d)
{
	struct egress *eg = d->user;

	gate_close(&eg->gate);
}

static const struct daemon_ops ops = {
	.module = MODULE_EGRESS,
	.program = "mpp_adv_egress",
	.start = start,
	.worker_open = egress_worker_open,
	.stop_listening = stop_listening,
	.health = egress_health,
	.stats = egress_stats,
	.paths = egress_paths,
	.sessions = egress_sessions,
	.reset = egress_reset,
	.drain = egress_drain,
	.stop = egress_stop,
	.worker_freed = egress_worker_freed,
	.update_topo_pre = egress_topo_pre,
	.update_topo = egress_topo_commit,
	.abort_topo = egress_topo_abort,
	.set_weight = egress_set_weight,
	.add_path = egress_add_path,
	.remove_path = egress_remove_path,
	.set_scheduler = egress_set_scheduler,
};

int main(int argc, char **argv)
{
	struct egress egress = {.topo.is_busy = false};

	return daemon_main(&ops, argc, argv, &egress);
}
