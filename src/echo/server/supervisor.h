/* The supervisor: listens, keeps the worker processes, prints the counters. It serves no
 * connection itself. */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include "echo/server/options.h"

/* Workers at the most: with 20,000 open files each, ten million connections, and each costs the
 * supervisor a descriptor and 128 bytes. */
#define WORKERS_LIMIT 512u

/* Runs until SIGTERM or SIGINT, or says why it cannot begin. */
enum exit_code supervisor_run(const struct options *options);

#endif
