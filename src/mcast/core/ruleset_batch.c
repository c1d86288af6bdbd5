/* Batches as lists, and as the difference of two sets: see ruleset.h. */
#include "mcast/core/ruleset.h"

#include "mcast/core/memory.h"

void rule_batch_push(struct rule_batch *b, enum rule_change_kind kind, const struct rule *r)
{
	struct rule_change *c;

	b->changes = memory_grow(b->changes, b->count, &b->room, sizeof(*b->changes));
	c = &b->changes[b->count++];
	c->kind = kind;
	rule_copy(r, &c->rule);
}

void rule_batch_done(struct rule_batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->count; i++)
		rule_done(&b->changes[i].rule);
	free(b->changes);
	*b = (struct rule_batch){0};
}

void ruleset_diff(const struct ruleset *from, const struct ruleset *to, struct rule_batch *ret)
{
	struct rule_batch b = {0};

	for (size_t i = 0; i < ruleset_count(from); i++) {
		const struct rule *r = ruleset_at(from, i);

		if (!ruleset_find(to, r->name))
			rule_batch_push(&b, RULE_REMOVE, r);
	}
	for (size_t i = 0; i < ruleset_count(to); i++) {
		const struct rule *r = ruleset_at(to, i), *old = ruleset_find(from, r->name);

		if (old && !rule_is_same(old, r))
			rule_batch_push(&b, RULE_CHANGE, r);
	}
	for (size_t i = 0; i < ruleset_count(to); i++) {
		const struct rule *r = ruleset_at(to, i);

		if (!ruleset_find(from, r->name))
			rule_batch_push(&b, RULE_ADD, r);
	}
	*ret = b;
}
