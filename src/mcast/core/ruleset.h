/* All rules of a relay: by name, by input, and what two sets differ in.
 *
 * A set never holds a duplicate name, a duplicate input (interface, group, port and source), or a
 * loop: a chain of rules in which the output of one is the input of the next (same interface,
 * group and port) and that comes back to where it began. ruleset_apply does all of a batch or
 * nothing of it. */
#ifndef MCAST_RULESET_H
#define MCAST_RULESET_H

#include "mcast/core/rule.h"

struct ruleset;

struct ruleset *ruleset_new(void);
void ruleset_free(struct ruleset *s);
size_t ruleset_count(const struct ruleset *s);

/* Borrowed until the next change; NULL when there is none. */
const struct rule *ruleset_find(const struct ruleset *s, const char *name);
/* In the order in which they were added: `index` below ruleset_count. */
const struct rule *ruleset_at(const struct ruleset *s, size_t index);

enum rule_change_kind { RULE_ADD, RULE_CHANGE, RULE_REMOVE };

/* ADD: a name that is not there. CHANGE: replaces the rule of that name. REMOVE: only
 * rule.name counts. */
struct rule_change {
	enum rule_change_kind kind;
	struct rule rule;
};

/* A list of changes that owns its rules (deep copies). It begins zeroed. */
struct rule_batch {
	struct rule_change *changes;
	size_t count, room;
};

void rule_batch_push(struct rule_batch *b, enum rule_change_kind kind, const struct rule *r);
void rule_batch_done(struct rule_batch *b);

/* All of it or nothing: 0 or -EINVAL (rule_check), -EEXIST, -ENOENT, -ELOOP, -ENOSPC (RULES_MAX)
 * with one line that says which rule and why. Names count in order, change by change; inputs, loops
 * and the number of rules count at the end, so that rules may swap what they have. A changed rule
 * keeps its place in the order. 10,000 changes take less than 100 ms. */
int ruleset_apply(struct ruleset *s, const struct rule_batch *b, char ret_why[WHY_BYTES_MAX]);

/* What makes `from` equal to `to` (the order aside): removals first, then changes, then additions.
 * `ret` need not be initialised; the caller does rule_batch_done. */
void ruleset_diff(const struct ruleset *from, const struct ruleset *to, struct rule_batch *ret);

/* True when some output of another rule is an input of this one: packets of our own are then
 * expected there. */
bool ruleset_is_fed(const struct ruleset *s, const struct rule *r);

#endif
