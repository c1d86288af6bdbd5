/* with: src/mcast/core/hashed.c src/mcast/core/ip.c src/mcast/core/loop.c src/mcast/core/place.c */
/* with: src/mcast/core/rule.c src/mcast/core/rule_check.c src/mcast/core/ruleset.c */
/* with: src/mcast/core/ruleset_batch.c src/mcast/core/show.c src/mcast/core/siphash.c */
/* with: src/mcast/core/site.c */
/* Sets of rules: batches that are done whole or not at all, what two rules may not share, loops,
 * and differences of random sets. Place n is group 239.0.n/256.n%256 on br0. */
#include "mcast/core/ruleset.h"

#include "common/base/rng.h"
#include "mcast/core/memory.h"

#include "rules.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define OUTPUTS_MAX 8

struct fixture {
	struct ruleset *set;
	struct rule_batch batch;
	char why[WHY_BYTES_MAX];
};

static int set_up(void **state)
{
	struct fixture *f = memory_new(1, sizeof(*f));

	f->set = ruleset_new();
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	rule_batch_done(&f->batch);
	ruleset_free(f->set);
	free(f);
	return 0;
}

static struct ip group(unsigned place)
{
	return (struct ip){IP_V4, {239, 0, (uint8_t)(place >> 8), (uint8_t)place}};
}

/* Puts into the batch: the rule `name` that reads place `from` and writes `to`, a list that ends
 * with 0. */
static void put(struct fixture *f, enum rule_change_kind kind, const char *name, unsigned from,
		const unsigned *to)
{
	struct rule_output outputs[OUTPUTS_MAX];
	struct rule r = {.input_count = 1, .outputs = outputs};

	snprintf(r.name, sizeof(r.name), "%s", name);
	r.inputs[0] = input("br0", "", 5000, "");
	r.inputs[0].group = group(from);
	for (; *to; to++) {
		outputs[r.output_count] = output("br0", "", 5000);
		outputs[r.output_count++].address = group(*to);
	}
	rule_batch_push(&f->batch, kind, &r);
}

static void add(struct fixture *f, const char *name, unsigned from, unsigned to)
{
	put(f, RULE_ADD, name, from, (const unsigned[]){to, 0});
}

static void change(struct fixture *f, const char *name, unsigned from, unsigned to)
{
	put(f, RULE_CHANGE, name, from, (const unsigned[]){to, 0});
}

static void take(struct fixture *f, const char *name)
{
	put(f, RULE_REMOVE, name, 1, (const unsigned[]){2, 0});
}

static int apply(struct fixture *f)
{
	int err = ruleset_apply(f->set, &f->batch, f->why);

	rule_batch_done(&f->batch);
	return err;
}

static void assert_done(struct fixture *f)
{
	if (apply(f))
		fail_msg("refused: %s", f->why);
}

static void assert_refused(struct fixture *f, int err, const char *why)
{
	assert_int_equal(apply(f), err);
	assert_string_equal(f->why, why);
}

static void assert_order(const struct fixture *f, const char *const names[])
{
	size_t i = 0;

	for (; names[i]; i++)
		assert_string_equal(ruleset_at(f->set, i)->name, names[i]);
	assert_int_equal(ruleset_count(f->set), i);
}

static bool is_equal(const struct ruleset *a, const struct ruleset *b)
{
	if (ruleset_count(a) != ruleset_count(b))
		return false;
	for (size_t i = 0; i < ruleset_count(a); i++) {
		const struct rule *r = ruleset_at(a, i), *other = ruleset_find(b, r->name);

		if (!other || !rule_is_same(r, other))
			return false;
	}
	return true;
}

/* ---- batches ---- */

static void rules_come_change_and_go(void **state)
{
	struct fixture *f = *state;

	assert_done(f); /* an empty batch */
	add(f, "a", 1, 11);
	add(f, "b", 2, 12);
	add(f, "c", 3, 13);
	assert_done(f);
	assert_order(f, (const char *[]){"a", "b", "c", NULL});
	assert_int_equal(ruleset_find(f->set, "b")->outputs[0].address.bytes[3], 12);
	assert_null(ruleset_find(f->set, "d"));
	change(f, "b", 2, 22);
	take(f, "a");
	add(f, "d", 1, 14);
	assert_done(f);
	assert_order(f, (const char *[]){"b", "c", "d", NULL});
	assert_int_equal(ruleset_find(f->set, "b")->outputs[0].address.bytes[3], 22);
}

static void names_count_in_order(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 11);
	change(f, "a", 2, 12);
	take(f, "a");
	add(f, "a", 3, 13);
	assert_done(f);
	assert_order(f, (const char *[]){"a", NULL});
	assert_int_equal(ruleset_at(f->set, 0)->inputs[0].group.bytes[3], 3);
	add(f, "a", 4, 14);
	assert_refused(f, -EEXIST, "rule \"a\": is there already, expected another name");
	take(f, "a");
	change(f, "a", 4, 14);
	assert_refused(f, -ENOENT, "rule \"a\": there is none, expected the name of a rule");
	take(f, "b");
	assert_refused(f, -ENOENT, "rule \"b\": there is none, expected the name of a rule");
	assert_int_equal(ruleset_at(f->set, 0)->inputs[0].group.bytes[3], 3);
}

static void all_or_nothing(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 11);
	add(f, "b", 2, 12);
	assert_done(f);
	take(f, "b");
	change(f, "a", 2, 15);
	add(f, "c", 1, 16);
	change(f, "c", 9, 16);
	add(f, "d", 0, 0); /* no outputs */
	assert_refused(f, -EINVAL, "rule \"d\": outputs: 0, expected 1 to 512");
	assert_order(f, (const char *[]){"a", "b", NULL});
	assert_int_equal(ruleset_find(f->set, "a")->inputs[0].group.bytes[3], 1);
	add(f, "e", 9, 16); /* nobody has it */
	assert_done(f);
	assert_order(f, (const char *[]){"a", "b", "e", NULL});
}

static void an_input_has_one_rule(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 11);
	assert_done(f);
	add(f, "b", 1, 12);
	assert_refused(f, -EEXIST,
		       "rule \"b\": inputs[0]: rule \"a\" has it already, expected another one");
	add(f, "b", 1, 12);
	f->batch.changes[0].rule.inputs[0].source = ip("10.0.0.9"); /* another input */
	assert_done(f);
}

static void rules_may_swap_inputs(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 11);
	add(f, "b", 2, 12);
	assert_done(f);
	change(f, "a", 2, 11);
	change(f, "b", 1, 12);
	assert_done(f);
	assert_int_equal(ruleset_find(f->set, "a")->inputs[0].group.bytes[3], 2);
}

static void there_is_a_largest_set(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (unsigned i = 1; i <= RULES_MAX; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		add(f, name, i, 65000);
	}
	assert_done(f);
	add(f, "more", RULES_MAX + 1, 65000);
	assert_refused(f, -ENOSPC, "16385 rules, expected 16384 at the most");
	add(f, "more", RULES_MAX + 1, 65000);
	take(f, "r1");
	assert_done(f);
	assert_int_equal(ruleset_count(f->set), RULES_MAX);
}

static void who_is_fed(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 2);
	add(f, "b", 2, 3);
	assert_done(f);
	assert_false(ruleset_is_fed(f->set, ruleset_find(f->set, "a")));
	assert_true(ruleset_is_fed(f->set, ruleset_find(f->set, "b")));
	take(f, "a");
	assert_done(f);
	assert_false(ruleset_is_fed(f->set, ruleset_find(f->set, "b")));
}

/* ---- loops ---- */

static void loops_of_one_two_and_three(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 1);
	assert_refused(f, -EINVAL,
		       "rule \"a\": outputs[0]: a loop, the same interface, group and port as "
		       "inputs[0]");
	add(f, "a", 1, 2);
	assert_done(f);
	add(f, "b", 2, 1);
	assert_refused(f, -ELOOP, "rules in a loop of 2: \"b\" > \"a\" > \"b\"");
	add(f, "b", 2, 3);
	add(f, "c", 3, 4);
	assert_done(f);
	change(f, "c", 3, 1);
	assert_refused(f, -ELOOP, "rules in a loop of 3: \"c\" > \"a\" > \"b\" > \"c\"");
	/* What leads there is no part of it. */
	add(f, "z", 9, 8);
	change(f, "c", 3, 1);
	put(f, RULE_ADD, "y", 8, (const unsigned[]){1, 0});
	assert_refused(f, -ELOOP, "rules in a loop of 3: \"c\" > \"a\" > \"b\" > \"c\"");
	add(f, "z", 9, 8);
	add(f, "y", 8, 1);
	change(f, "c", 3, 1);
	assert_refused(f, -ELOOP, "rules in a loop of 3: \"a\" > \"b\" > \"c\" > \"a\"");
	assert_int_equal(ruleset_count(f->set), 3);
}

static void a_loop_by_the_second_input(void **state)
{
	struct fixture *f = *state;
	struct rule *r;

	add(f, "a", 1, 2);
	add(f, "b", 2, 3);
	r = &f->batch.changes[0].rule;
	r->inputs[1] = r->inputs[0];
	r->inputs[1].group = group(3);
	r->input_count = 2;
	r->match = RULE_MATCH_RTP;
	assert_refused(f, -ELOOP, "rules in a loop of 2: \"a\" > \"b\" > \"a\"");
}

static void what_is_elsewhere_is_no_loop(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 2);
	add(f, "b", 2, 1);
	f->batch.changes[1].rule.outputs[0].port++;
	add(f, "c", 3, 1);
	snprintf(f->batch.changes[2].rule.outputs[0].interface, RULE_INTERFACE_MAX, "br1");
	assert_done(f);
}

/* Two ways from 1 to 4. */
static void a_diamond_is_no_loop(void **state)
{
	struct fixture *f = *state;

	put(f, RULE_ADD, "a", 1, (const unsigned[]){2, 3, 0});
	add(f, "b", 2, 4);
	add(f, "c", 3, 4);
	add(f, "d", 4, 5);
	assert_done(f);
}

/* Halfway it is a loop; at the end it is none. */
static void loops_count_at_the_end(void **state)
{
	struct fixture *f = *state;

	add(f, "a", 1, 2);
	add(f, "b", 2, 3);
	assert_done(f);
	change(f, "b", 2, 1);
	change(f, "a", 9, 2);
	assert_done(f);
}

#define CHAIN 10000u

static void long_chains(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (unsigned i = 1; i <= CHAIN; i++) {
		snprintf(name, sizeof(name), "rule%u", i);
		add(f, name, i, i + 1);
	}
	assert_done(f);
	change(f, "rule10000", CHAIN, 1);
	assert_int_equal(apply(f), -ELOOP);
	assert_memory_equal(f->why, "rules in a loop of 10000: \"rule10000\" > \"rule1\" > ", 49);
	assert_string_equal(f->why + strlen(f->why) - 6, " > ...");
	assert_true(ruleset_is_fed(f->set, ruleset_find(f->set, "rule10000")));
}

/* Many readers of one place, and many writers: no pair is looked at alone. */
static void many_meet_in_one_place(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (unsigned i = 1; i <= 5000; i++) {
		struct rule *r;

		snprintf(name, sizeof(name), "writer%u", i);
		add(f, name, i, 60000);
		snprintf(name, sizeof(name), "reader%u", i);
		add(f, name, 60000, 60001);
		r = &f->batch.changes[f->batch.count - 1].rule;
		r->inputs[0].source = ip("10.0.0.0");
		r->inputs[0].source.bytes[2] = (uint8_t)(i >> 8);
		r->inputs[0].source.bytes[3] = (uint8_t)i;
	}
	assert_done(f);
	assert_int_equal(ruleset_count(f->set), 10000);
}

/* ---- differences ---- */

/* Up to 60 rules over names and places that collide often; what is refused is left out. */
static void random_rules(struct fixture *f, struct rng *rng)
{
	for (int i = 0; i < 60; i++) {
		unsigned to[3] = {1 + (unsigned)rng_below(rng, 50), 0};
		char name[16];

		if (rng_below(rng, 2))
			to[1] = 60 + (unsigned)rng_below(rng, 50);
		snprintf(name, sizeof(name), "rule%u", (unsigned)rng_below(rng, 60));
		put(f, RULE_ADD, name, 1 + (unsigned)rng_below(rng, 50), to);
		apply(f);
	}
}

static void a_difference_makes_them_equal(void **state)
{
	struct fixture *f = *state;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct fixture other = {.set = ruleset_new()};
		struct rng rng;

		rng_init(&rng, seed);
		random_rules(&other, &rng);
		ruleset_diff(f->set, other.set, &f->batch);
		if (apply(f))
			fail_msg("seed %lu: %s", (unsigned long)seed, f->why);
		assert_true(is_equal(f->set, other.set));
		assert_true(ruleset_count(f->set) > 5);
		ruleset_diff(f->set, other.set, &f->batch);
		assert_int_equal(f->batch.count, 0);
		ruleset_free(other.set);
	}
}

/* Random changes of which many are refused: a refused batch leaves all as it was. */
static void refused_batches_leave_no_trace(void **state)
{
	struct fixture *f = *state;
	unsigned refused = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct fixture before = {.set = ruleset_new()};
		struct rng rng;

		rng_init(&rng, seed);
		ruleset_diff(before.set, f->set, &before.batch);
		assert_done(&before);
		for (int i = 0; i < 4; i++) {
			unsigned to[2] = {1 + (unsigned)rng_below(&rng, 50), 0};
			char name[16];

			snprintf(name, sizeof(name), "rule%u", (unsigned)rng_below(&rng, 40));
			put(f, (enum rule_change_kind)rng_below(&rng, 3), name,
			    1 + (unsigned)rng_below(&rng, 50), to);
		}
		if (apply(f)) {
			assert_true(is_equal(f->set, before.set));
			refused++;
		}
		ruleset_free(before.set);
	}
	assert_in_range(refused, 50, 299);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(rules_come_change_and_go),
		test(names_count_in_order),
		test(all_or_nothing),
		test(an_input_has_one_rule),
		test(rules_may_swap_inputs),
		test(there_is_a_largest_set),
		test(who_is_fed),
		test(loops_of_one_two_and_three),
		test(a_loop_by_the_second_input),
		test(what_is_elsewhere_is_no_loop),
		test(a_diamond_is_no_loop),
		test(loops_count_at_the_end),
		test(long_chains),
		test(many_meet_in_one_place),
		test(a_difference_makes_them_equal),
		test(refused_batches_leave_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
