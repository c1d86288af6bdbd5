/* What the modules tell of themselves (docs/control.md, `stats`): the parts they share. */
#ifndef MODULE_REPORT_H
#define MODULE_REPORT_H

#include "common/conf/conf.h"
#include "common/flow/budget.h"
#include "common/flow/tunnel.h"

#include <jansson.h>

/* Sets a member to a whole number. */
void report_put(json_t *object, const char *key, uint64_t value);

/* Sets one to an address as text. */
void report_put_address(json_t *object, const char *key, const struct conf_address *a);

/* The `stats` of one worker with nothing in it yet but its memory. */
json_t *report_begin(const struct budget *b);
/* Adds a tunnel's sessions and bytes. */
void report_add_tunnel(json_t *stats, const struct tunnel *t);
/* Adds what tunnels that are gone have counted. */
void report_add_counters(json_t *stats, const struct tunnel_counters *c);

/* The `limit` argument of `sessions`: 100 when it is missing or no number. */
size_t report_limit(const json_t *args);

/* An object of texts as one, "name: text; name: text", which the caller frees. */
char *report_join(const json_t *reasons);

#endif
