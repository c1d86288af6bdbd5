/* A struct conf in the making, and what the files of this folder give each other to make it.
 * Every int here is 0, or -EINVAL after exactly one line has gone to standard error. `where`
 * names a value for that line: "option --workers", "argument 5 (listen_write_ratio1)",
 * "x.conf:12: workers". */
#ifndef CONF_DRAFT_H
#define CONF_DRAFT_H

#include "common/conf/conf.h"

#include <stdio.h>

#define WHERE_MAX 512 /* room for a path of usual length; a longer one is cut in messages */

enum option_id {
	OPTION_WORKERS,
	OPTION_SCHEDULER,
	OPTION_MAX_FRAME,
	OPTION_MAX_WINDOW,
	OPTION_MEMORY_LIMIT,
	OPTION_MAX_SESSIONS,
	OPTION_CLIENT_WAIT,
	OPTION_SESSION_WAIT,
	OPTION_OPEN_WAIT,
	OPTION_RESET_WAIT,
	OPTION_TOPO_WAIT,
	OPTION_DRAIN_WAIT,
	OPTION_HELLO_WAIT,
	OPTION_KEY_FILE,
	OPTION_REQUIRE_AUTH,
	OPTION_LOG_LEVEL,
	OPTION_LOG_FORMAT,
	OPTION_COUNT,
};

struct draft {
	const char *const *schedulers; /* NULL-terminated, borrowed */
	bool is_given[OPTION_COUNT];   /* by the user, on the command line or in the file */
	struct conf conf;
};

/* ---- conf.c ---- */
/* Says "<program>: <where>: "<value>": <what was expected>"; `value` may be NULL. -EINVAL. */
int draft_fail(const struct draft *d, const char *where, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
const char *program_name(enum module m);

/* ---- options.c ---- */
const char *option_name(enum option_id id); /* as on the command line: "memory-limit" */
bool option_is_flag(enum option_id id);	    /* needs no value on the command line */
/* A module takes no option that is another one's alone. */
bool option_is_of(enum module m, enum option_id id);
/* The name in a file: the same, with underscores. */
void option_key(const char *name, char ret_key[32]);
/* OPTION_COUNT when the module has no such key. */
enum option_id option_by_key(enum module m, const char *key);
void option_set_defaults(struct draft *d); /* of a draft that is all zeros */
int option_set(struct draft *d, enum option_id id, const char *where, const char *text);
void option_help(const struct draft *d, FILE *out);

/* ---- address.c ---- */
enum side { SIDE_LISTEN, SIDE_BACKEND };
#define SIDE_COUNT 2

const char *side_name(enum side s);
size_t side_max(enum module m, enum side s);	    /* most addresses in this list */
bool side_ratio_counts(enum module m, enum side s); /* it must not be 0 */
/* The list and its counter in the draft. */
struct conf_address *side_list(struct draft *d, enum side s, size_t **ret_count);

int address_set_host(const struct draft *d, struct conf_address *a, const char *where,
		     const char *text);
int address_set_port(const struct draft *d, struct conf_address *a, const char *where,
		     const char *text);
int address_set_ratio(const struct draft *d, struct conf_address *a, enum side s, const char *where,
		      const char *text);
/* Appends to the list, which has room, unless it has the same host and port. */
int address_add(struct draft *d, enum side s, const char *where, const struct conf_address *a);

/* ---- positional.c ---- */
/* Replaces both lists and comm; `count` > 0. */
int positional_parse(struct draft *d, int count, char *const *args);

/* ---- file.c ---- */
int file_parse(struct draft *d, const char *path);

/* ---- key.c ---- */
int key_read(struct draft *d, const char *where, const char *path);

/* ---- near.c ---- */
/* The name most like a mistyped word; '-' and '_' are alike. */
struct near {
	const char *word;
	const char *best; /* NULL: none is near. Borrowed from whoever tried it. */
	size_t distance;
};

void near_init(struct near *n, const char *word);
void near_try(struct near *n, const char *name);

#endif
