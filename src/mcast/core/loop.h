/* Rules that feed each other in a circle. A search follows the outputs of a rule to their readers,
 * depth first; several rules are looked at in one search, which comes to each site once, whatever
 * the number of rules. */
#ifndef MCAST_LOOP_H
#define MCAST_LOOP_H

#include "mcast/core/site.h"

struct loop_step {
	struct site *site;
	struct list *reader; /* the next one to follow, and of its rule the next output */
	size_t output;
};

struct loop_search {
	struct sites *sites;
	struct loop_step *path; /* from where the search began to where it is */
	size_t count, room;
};

/* Between them the rules must not change. */
void loop_search_init(struct loop_search *l, struct sites *s);
void loop_search_done(struct loop_search *l);

/* Whether what `r`, a rule of the sites, sends can come back to it: 0, or -ELOOP with a line that
 * names the rules of a loop (it may be another one further on). After that the search is over. */
int loop_search_from(struct loop_search *l, const struct rule *r, char ret_why[WHY_BYTES_MAX]);

#endif
