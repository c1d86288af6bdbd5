/* The options of echo_server. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include "common/base/fail.h"
#include "echo/server/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	const struct model *model;
	const char *host; /* a name or a number; borrowed from the command line */
	uint16_t port;	  /* 0: a free one */
	unsigned workers; /* 0: one for each processor, and more when they are full */
	int backlog;
	unsigned report_s; /* 0: never */
	bool is_json;
};

/* EXIT_DONE with `ret_is_over`: --help or --version was all. EXIT_FAILED: it has said why. */
enum exit_code options_parse(int argc, char **argv, struct options *ret, bool *ret_is_over);

#endif
