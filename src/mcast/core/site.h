/* All places that rules read or write, each with its readers: which rule feeds which. Only groups;
 * no rule reads what is sent to a unicast address. */
#ifndef MCAST_SITE_H
#define MCAST_SITE_H

#include "common/base/idmap.h"
#include "common/base/list.h"
#include "mcast/core/hashed.h"
#include "mcast/core/place.h"

/* Lives from the first rule that reads or writes the place to the last. */
struct site {
	struct hashed hashed;
	struct place place; /* of `interface` below */
	char interface[RULE_INTERFACE_MAX];
	struct list readers; /* struct site_reader */
	size_t writer_count; /* outputs */

	uint64_t seen_round; /* the search for loops that was here last */
	bool is_on_path;     /* of that search, now */
};

/* One input. */
struct site_reader {
	struct list link;
	struct site *site;
	const struct rule *rule;
};

struct sites {
	struct idmap map;
	uint64_t round; /* searches for loops so far */
};

void sites_init(struct sites *s);
void sites_done(struct sites *s); /* all rules must have been removed */

/* `readers` are the rule's, and as its memory they stay where they are until it is removed. */
void sites_add(struct sites *s, const struct rule *r, struct site_reader readers[RULE_INPUTS_MAX]);
void sites_remove(struct sites *s, const struct rule *r,
		  struct site_reader readers[RULE_INPUTS_MAX]);
/* NULL when no rule reads or writes there. */
struct site *sites_find(const struct sites *s, const struct place *p);

#endif
