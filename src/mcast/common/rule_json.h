/* Rules as JSON: what control_client sends, what `list` answers, what workers are told.
 *
 *   {"name": "tv1",
 *    "inputs": [{"interface": "br0", "group": "239.1.1.1", "port": 5001, "source": "10.0.0.9"}],
 *    "match": "none",
 *    "outputs": [{"address": "239.10.1.1", "port": 6001, "interface": "br1", "ttl": 16,
 *                 "source": "10.1.0.1"}]}
 *
 * name, source, match, ttl and (for unicast) interface may be left out. */
#ifndef MCAST_RULE_JSON_H
#define MCAST_RULE_JSON_H

#include "mcast/core/rule.h"

#include <jansson.h>

/* A new reference; fields that are not set are left out. */
json_t *rule_to_json(const struct rule *r);
/* Strict: unknown keys, wrong types and ranges are refused, and rule_check is applied. 0 or -EINVAL
 * with one line ("outputs[2].port: 0, expected 1 to 65535"); `ret` is then untouched. */
int rule_from_json(const json_t *json, struct rule *ret, char ret_why[WHY_BYTES_MAX]);

#endif
