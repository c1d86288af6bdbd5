/* Rules in a libconfig file: `rules = ( { name = "tv1"; inputs = ( {...} ); outputs = ( {...} ); } );`
 * with the keys of rule_json.h. */
#ifndef MCAST_RULE_CONF_H
#define MCAST_RULE_CONF_H

#include "mcast/core/ruleset.h"

/* Reads a file into a new set. 0 or a negative errno with one line: file, line, what was found and
 * what expected. */
int rule_conf_read(const char *path, struct ruleset **ret, char ret_why[WHY_BYTES_MAX]);

/* Writes a set, whole or not at all (a new file beside it is renamed over it; mode and owner of the
 * old one are kept). */
int rule_conf_write(const char *path, const struct ruleset *s, char ret_why[WHY_BYTES_MAX]);

#endif
