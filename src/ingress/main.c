/* mpp_adv_ingress: see ingress.h and man/mpp_adv_ingress.1. */
#include "common/base/log.h"
#include "ingress/ingress.h"

#include <string.h>
#include <unistd.h>

static int start(struct daemon *d)
{
	struct ingress *in = d->user;
	const struct conf_address *a = &d->conf.listen[0];
	char why[256];

	in->daemon = d;
	topo_init(&in->topo, d->conf.backend, d->conf.backend_count);
	if (listener_bind(a->host, a->port, &in->listen_fd, why) < 0) {
		log_error("%s", why);
		return 2;
	}
	return 0;
}

static void stop_listening(struct daemon *d)
{
	struct ingress *in = d->user;

	/* The workers close their duplicates, in ingress_drain and ingress_stop. */
	close(in->listen_fd);
}

static const struct daemon_ops ops = {
	.module = MODULE_INGRESS,
	.program = "mpp_adv_ingress",
	.start = start,
	.worker_open = ingress_worker_open,
	.stop_listening = stop_listening,
	.health = ingress_health,
	.stats = ingress_stats,
	.paths = ingress_paths,
	.sessions = ingress_sessions,
	.reset = ingress_reset,
	.drain = ingress_drain,
	.stop = ingress_stop,
	.worker_freed = ingress_worker_freed,
	.update_topo_pre = ingress_topo_pre,
	.update_topo = ingress_topo_commit,
	.abort_topo = ingress_topo_abort,
	.set_weight = ingress_set_weight,
	.add_path = ingress_add_path,
	.remove_path = ingress_remove_path,
	.set_scheduler = ingress_set_scheduler,
};

int main(int argc, char **argv)
{
	struct ingress ingress = {.listen_fd = -1};

	return daemon_main(&ops, argc, argv, &ingress);
}
