/* Packets that carry their number as their first bytes, and a clock that jumps to what is next. */
#include "lane.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FRAME_MAX 2000

void lane_init(struct lane *l, uint64_t seed)
{
	*l = (struct lane){.now_ns = SECOND};
	slab_init(&l->slab, offsetof(struct packet, frame) + FRAME_MAX);
	direction_init(&l->direction, &l->slab, seed);
}

void lane_done(struct lane *l)
{
	direction_done(&l->direction);
	slab_done(&l->slab);
}

void lane_set(struct lane *l, const char *words)
{
	struct change change = {.keys = 0};
	char copy[200], why[WHY_BYTES_MAX], *key, *value, *save;

	snprintf(copy, sizeof(copy), "%s", words);
	for (key = strtok_r(copy, " ", &save); key; key = strtok_r(NULL, " ", &save)) {
		value = strtok_r(NULL, " ", &save);
		assert_non_null(value);
		assert_int_equal(change_add(&change, key, value, why), 0);
	}
	direction_change(&l->direction, &change, l->now_ns);
}

/* The next that comes out by itself not after `until_ns`. */
static bool come_out(struct lane *l, uint64_t until_ns, struct exit *ret)
{
	uint64_t next_ns;

	while ((next_ns = direction_next_ns(&l->direction)) != NEVER_NS && next_ns <= until_ns) {
		struct packet *p;

		l->now_ns = next_ns > l->now_ns ? next_ns : l->now_ns;
		p = direction_pop(&l->direction, l->now_ns);
		if (!p)
			continue; /* it was lost, or the jitter made it later */
		memcpy(&ret->number, p->frame, sizeof(ret->number));
		ret->at_ns = l->now_ns;
		ret->len = p->len;
		slab_free(&l->slab, p);
		return true;
	}
	return false;
}

void lane_push(struct lane *l, uint64_t now_ns, uint32_t len)
{
	struct packet *p = slab_alloc(&l->slab);

	while (come_out(l, now_ns - 1, &l->exits[l->exit_count]))
		assert_true(++l->exit_count < EXITS_MAX);
	assert_true(len >= sizeof(l->pushed) && len <= FRAME_MAX);
	memset(p, 0, sizeof(*p));
	p->len = len;
	memset(p->frame, 0, len);
	memcpy(p->frame, &l->pushed, sizeof(l->pushed));
	l->pushed++;
	l->now_ns = now_ns;
	direction_push_take(&l->direction, p, now_ns);
}

bool lane_pop(struct lane *l, struct exit *ret)
{
	if (l->exit_taken == l->exit_count) {
		l->exit_taken = l->exit_count = 0;
		return come_out(l, NEVER_NS, ret);
	}
	*ret = l->exits[l->exit_taken++];
	return true;
}
