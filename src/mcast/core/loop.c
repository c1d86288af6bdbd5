/* Depth first with its own stack: a chain may be as long as there are rules. A site that is on the
 * path closes a loop; one that was left has been searched. */
#include "mcast/core/loop.h"

#include "common/base/fail.h"
#include "mcast/core/memory.h"

#include <errno.h>
#include <stdio.h>

void loop_search_init(struct loop_search *l, struct sites *s)
{
	*l = (struct loop_search){.sites = s};
	s->round++;
}

static void pop(struct loop_search *l)
{
	l->path[--l->count].site->is_on_path = false;
}

void loop_search_done(struct loop_search *l)
{
	while (l->count > 0)
		pop(l);
	free(l->path);
	*l = (struct loop_search){0};
}

/* Unless it was there before. */
static void push(struct loop_search *l, struct site *site)
{
	if (site->seen_round == l->sites->round)
		return;
	site->seen_round = l->sites->round;
	site->is_on_path = true;
	l->path = memory_grow(l->path, l->count, &l->room, sizeof(*l->path));
	l->path[l->count++] = (struct loop_step){.site = site, .reader = site->readers.next};
}

static const struct rule *rule_of(const struct list *reader)
{
	return container_of(reader, struct site_reader, link)->rule;
}

/* The next site that is read among those which the end of the path feeds; NULL: there is no more.
 */
static struct site *next_site(const struct loop_search *l)
{
	struct loop_step *step = &l->path[l->count - 1];

	for (; step->reader != &step->site->readers; step->reader = step->reader->next) {
		const struct rule *r = rule_of(step->reader);

		while (step->output < r->output_count) {
			struct place p = place_of_output(&r->outputs[step->output++]);
			struct site *site = sites_find(l->sites, &p);

			if (site && !list_is_empty(&site->readers))
				return site;
		}
		step->output = 0;
	}
	return NULL;
}

/* `rules in a loop of 2: "tv1" > "tv2" > "tv1"`; of a long one the beginning and the length. */
static int fail_loop(const struct loop_search *l, const struct site *closing, char *ret_why)
{
	size_t first = 0, len;
	int at;

	while (l->path[first].site != closing)
		first++;
	len = l->count - first;
	at = snprintf(ret_why, WHY_BYTES_MAX, "rules in a loop of %zu: ", len);
	for (size_t i = 0; i <= len; i++) {
		size_t step = i < len ? first + i : first;
		const struct rule *r = rule_of(l->path[step].reader);

		if ((size_t)at + RULE_NAME_MAX + 2 * sizeof(" > ...") > WHY_BYTES_MAX) {
			snprintf(ret_why + at, WHY_BYTES_MAX - (size_t)at, " > ...");
			break;
		}
		at += snprintf(ret_why + at, WHY_BYTES_MAX - (size_t)at, "%s\"%s\"", i ? " > " : "",
			       r->name);
	}
	return -ELOOP;
}

static int walk(struct loop_search *l, char *ret_why)
{
	while (l->count > 0) {
		struct site *site = next_site(l);

		if (!site)
			pop(l);
		else if (site->is_on_path)
			return fail_loop(l, site, ret_why);
		else
			push(l, site);
	}
	return 0;
}

int loop_search_from(struct loop_search *l, const struct rule *r, char ret_why[WHY_BYTES_MAX])
{
	for (size_t i = 0; i < r->input_count; i++) {
		struct place p = place_of_input(&r->inputs[i]);
		struct site *site = sites_find(l->sites, &p);

		/* Where nobody writes no loop comes by. */
		if (site->writer_count == 0)
			continue;
		push(l, site);
		if (walk(l, ret_why))
			return -ELOOP;
	}
	return 0;
}
