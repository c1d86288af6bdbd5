/* What control_client can ask of a relay: the operations by name, and what stands behind them. */
#ifndef MCAST_OPERATION_H
#define MCAST_OPERATION_H

#include "mcast/client/edit.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

enum operation_kind {
	OPERATION_ASK,	 /* one request, one reply */
	OPERATION_EDIT,	 /* the same, of an edit */
	OPERATION_ALL,	 /* one request after the other, until all is there */
	OPERATION_BATCH, /* a file of edits */
};

struct operation;

struct command {
	const struct operation *operation;
	const char *op;
	enum operation_kind kind;
	json_t *request;   /* OPERATION_ASK */
	struct edit edit;  /* OPERATION_EDIT */
	const char *list;  /* OPERATION_ALL: the key of what comes in parts */
	const char *file;  /* OPERATION_BATCH, borrowed from argv */
	uint64_t watch_ms; /* 0: once */
};

/* argv[0] names the operation. 0, and operation_done frees what `ret` owns; or -EINVAL with one
 * line that names the argument, its value and what was expected. */
int operation_parse(int argc, char *const *argv, struct command *ret, char ret_why[WHY_BYTES_MAX]);
void operation_done(struct command *c);

/* One line each, with what they do. */
void operation_help(FILE *out);

#endif
