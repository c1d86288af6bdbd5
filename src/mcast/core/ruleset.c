/* Rules in the order of their slots, and three maps of them: by name, by input, and by what feeds
 * what. A batch is done change by change, looked at as a whole, and undone backwards if it is no
 * good; so it costs as much as it changes, not as much as there is. */
#include "mcast/core/ruleset.h"

#include "common/base/fail.h"
#include "mcast/core/loop.h"
#include "mcast/core/memory.h"
#include "mcast/core/show.h"
#include "mcast/core/siphash.h"

#include <errno.h>
#include <string.h>

struct owned_input {
	struct hashed hashed;
	const struct rule *rule;
	const struct rule_input *input; /* of the rule */
};

struct entry {
	struct rule rule;
	size_t slot;
	struct hashed by_name;
	struct owned_input inputs[RULE_INPUTS_MAX];
	struct site_reader readers[RULE_INPUTS_MAX];
};

struct ruleset {
	struct entry **slots; /* no holes (NULL) but while a batch is done */
	size_t slot_count, slot_room;
	size_t count;
	struct idmap names, inputs;
	struct sites sites;
};

/* ---- what is there ---- */

struct ruleset *ruleset_new(void)
{
	struct ruleset *s = memory_new(1, sizeof(*s));

	idmap_init(&s->names);
	idmap_init(&s->inputs);
	sites_init(&s->sites);
	return s;
}

static uint64_t input_hash(const struct rule_input *in)
{
	struct place p = place_of_input(in);
	const uint64_t key[2] = {place_hash(&p), in->source.family};

	return siphash(key, in->source.bytes, sizeof(in->source.bytes));
}

static struct entry *find(const struct ruleset *s, const char *name)
{
	struct hashed *h = hashed_first(&s->names, rule_name_hash(name));

	for (; h; h = h->next) {
		struct entry *e = container_of(h, struct entry, by_name);

		if (strncmp(e->rule.name, name, RULE_NAME_MAX) == 0)
			return e;
	}
	return NULL;
}

size_t ruleset_count(const struct ruleset *s)
{
	return s->count;
}

const struct rule *ruleset_find(const struct ruleset *s, const char *name)
{
	const struct entry *e = find(s, name);

	return e ? &e->rule : NULL;
}

const struct rule *ruleset_at(const struct ruleset *s, size_t index)
{
	return &s->slots[index]->rule;
}

bool ruleset_is_fed(const struct ruleset *s, const struct rule *r)
{
	for (size_t i = 0; i < r->input_count; i++) {
		struct place p = place_of_input(&r->inputs[i]);
		const struct site *site = sites_find(&s->sites, &p);

		if (site && site->writer_count > 0)
			return true;
	}
	return false;
}

/* ---- entries ---- */

static struct entry *entry_new(const struct rule *r, size_t slot)
{
	struct entry *e = memory_new(1, sizeof(*e));

	rule_copy(r, &e->rule);
	e->slot = slot;
	return e;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	rule_done(&e->rule);
	free(e);
}

static void put(struct ruleset *s, struct entry *e)
{
	s->slots[e->slot] = e;
	s->count++;
	hashed_put(&s->names, &e->by_name, rule_name_hash(e->rule.name));
	for (size_t i = 0; i < e->rule.input_count; i++) {
		const struct rule_input *in = &e->rule.inputs[i];

		e->inputs[i] = (struct owned_input){.rule = &e->rule, .input = in};
		hashed_put(&s->inputs, &e->inputs[i].hashed, input_hash(in));
	}
	sites_add(&s->sites, &e->rule, e->readers);
}

static void take(struct ruleset *s, struct entry *e)
{
	s->slots[e->slot] = NULL;
	s->count--;
	hashed_remove(&s->names, &e->by_name);
	for (size_t i = 0; i < e->rule.input_count; i++)
		hashed_remove(&s->inputs, &e->inputs[i].hashed);
	sites_remove(&s->sites, &e->rule, e->readers);
}

void ruleset_free(struct ruleset *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->slot_count; i++) {
		struct entry *e = s->slots[i];

		take(s, e);
		entry_free(e);
	}
	idmap_done(&s->names);
	idmap_done(&s->inputs);
	sites_done(&s->sites);
	free(s->slots);
	free(s);
}

/* ---- batches ---- */

/* One change as it was done. */
struct step {
	struct entry *out, *in; /* taken and put; NULL: none */
};

static int fail_rule(const char *name, int err, const char *what, char *ret_why)
{
	char shown[SHOW_BYTES_MAX];

	fail_why(ret_why, "rule %s: %s", show(name, RULE_NAME_MAX, shown), what);
	return err;
}

static int check_change(const struct ruleset *s, const struct rule_change *c, char *ret_why)
{
	const char *name = c->rule.name;
	bool is_there = find(s, name) != NULL;
	char why[WHY_BYTES_MAX];

	if (c->kind == RULE_ADD && is_there)
		return fail_rule(name, -EEXIST, "is there already, expected another name", ret_why);
	if (c->kind != RULE_ADD && !is_there)
		return fail_rule(name, -ENOENT, "there is none, expected the name of a rule",
				 ret_why);
	if (c->kind != RULE_REMOVE && rule_check(&c->rule, why))
		return fail_rule(name, -EINVAL, why, ret_why);
	return 0;
}

static size_t new_slot(struct ruleset *s)
{
	s->slots = memory_grow(s->slots, s->slot_count, &s->slot_room, sizeof(void *));
	s->slots[s->slot_count] = NULL;
	return s->slot_count++;
}

static int do_change(struct ruleset *s, const struct rule_change *c, struct step *ret_step,
		     char *ret_why)
{
	int err = check_change(s, c, ret_why);
	struct step step = {NULL, NULL};

	if (err)
		return err;
	if (c->kind != RULE_ADD) {
		step.out = find(s, c->rule.name);
		take(s, step.out);
	}
	if (c->kind != RULE_REMOVE) {
		step.in = entry_new(&c->rule, step.out ? step.out->slot : new_slot(s));
		put(s, step.in);
	}
	*ret_step = step;
	return 0;
}

/* Another rule that has this input too, or NULL. */
static const struct rule *other_owner(const struct ruleset *s, const struct owned_input *mine)
{
	struct hashed *h = hashed_first(&s->inputs, mine->hashed.hash);

	for (; h; h = h->next) {
		const struct owned_input *o = container_of(h, struct owned_input, hashed);

		if (o != mine && rule_input_is_same(o->input, mine->input))
			return o->rule;
	}
	return NULL;
}

static int check_inputs(const struct ruleset *s, const struct entry *e, char *ret_why)
{
	for (size_t i = 0; i < e->rule.input_count; i++) {
		const struct rule *other = other_owner(s, &e->inputs[i]);
		char what[WHY_BYTES_MAX];

		if (!other)
			continue;
		fail_why(what, "inputs[%zu]: rule \"%s\" has it already, expected another one", i,
			 other->name);
		return fail_rule(e->rule.name, -EEXIST, what, ret_why);
	}
	return 0;
}

/* What a batch came to: only what it put and has not taken again can break a rule. */
static int check_result(struct ruleset *s, const struct step *steps, size_t count, char *ret_why)
{
	struct loop_search search;
	int err = 0;

	if (s->count > RULES_MAX) {
		fail_why(ret_why, "%zu rules, expected %u at the most", s->count, RULES_MAX);
		return -ENOSPC;
	}
	loop_search_init(&search, &s->sites);
	for (size_t i = 0; i < count && !err; i++) {
		struct entry *e = steps[i].in;

		if (!e || s->slots[e->slot] != e)
			continue;
		err = check_inputs(s, e, ret_why);
		if (!err)
			err = loop_search_from(&search, &e->rule, ret_why);
	}
	loop_search_done(&search);
	return err;
}

static void undo(struct ruleset *s, const struct step *steps, size_t count, size_t slot_count)
{
	while (count-- > 0) {
		if (steps[count].in)
			take(s, steps[count].in);
		if (steps[count].out)
			put(s, steps[count].out);
		entry_free(steps[count].in);
	}
	s->slot_count = slot_count;
}

/* Nothing is undone any more: what was taken goes, and so do the holes. */
static void settle(struct ruleset *s, const struct step *steps, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		entry_free(steps[i].out);
	if (s->count == s->slot_count)
		return;
	for (size_t i = 0; i < s->slot_count; i++) {
		if (!s->slots[i])
			continue;
		s->slots[i]->slot = kept;
		s->slots[kept++] = s->slots[i];
	}
	s->slot_count = kept;
}

int ruleset_apply(struct ruleset *s, const struct rule_batch *b, char ret_why[WHY_BYTES_MAX])
{
	struct step *steps = memory_new(b->count, sizeof(*steps));
	size_t slot_count = s->slot_count, done = 0;
	int err = 0;

	for (; done < b->count && !err; done += !err)
		err = do_change(s, &b->changes[done], &steps[done], ret_why);
	if (!err)
		err = check_result(s, steps, done, ret_why);
	if (err)
		undo(s, steps, done, slot_count);
	else
		settle(s, steps, done);
	free(steps);
	return err;
}
