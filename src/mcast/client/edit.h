/* add, change and remove in words, as they stand on the command line and in a batch file: from
 * words to a checked rule and to the request that goes to the relay. */
#ifndef MCAST_EDIT_H
#define MCAST_EDIT_H

#include "mcast/core/rule.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum edit_kind { EDIT_ADD, EDIT_CHANGE, EDIT_REMOVE };

struct edit {
	enum edit_kind kind;
	struct rule rule; /* of EDIT_REMOVE only the name, or else the first input */
	bool is_by_input; /* EDIT_REMOVE: the name is to be found first */
};

/* words[0] names the kind; there is at least that. 0, and edit_done frees what `ret` owns; or
 * -EINVAL with one line that names the word, its value and what was expected. */
int edit_parse(size_t count, char *const *words, struct edit *ret, char ret_why[WHY_BYTES_MAX]);
void edit_done(struct edit *e);

/* From a list of rules in JSON, as that of the operation `list`: which rule has an input, as an
 * object, a new reference. For edit_request. */
json_t *edit_names(const json_t *rules);

/* The request, a new reference. What is removed by its input gets its name from `names`, or, when
 * that is NULL or does not have it, the name that a rule without one would have. */
json_t *edit_request(const struct edit *e, const json_t *names);

/* The options, a line each. */
void edit_help(FILE *out);

#endif
