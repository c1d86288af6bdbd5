/* The command line of multicast_relay. */
#ifndef RELAY_OPTIONS_H
#define RELAY_OPTIONS_H

#include "common/base/fail.h"
#include "common/base/log.h"
#include "mcast/relay/worker.h"

#include <stdbool.h>

struct options {
	bool is_worker; /* started by the supervisor; `worker` counts then, else the others */
	struct worker_options worker;
	uint32_t worker_count;
	const char *control_socket;
	const char *config; /* NULL: none */
	bool is_check;
	uint32_t buffer_bytes; /* of each input */
	enum log_level log_level;
	enum log_format log_format;
	const char *log_texts[2]; /* of both, for the workers */
};

/* EXIT_DONE with `ret_is_over`: --help or --version was all. EXIT_FAILED: it has said why. */
enum exit_code options_parse(int argc, char **argv, struct options *ret, bool *ret_is_over);

#endif
