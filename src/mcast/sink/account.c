/* Which sequence numbers came: see account.h. */
#include "mcast/sink/account.h"

#include "common/base/minmax.h"

#include <assert.h>
#include <string.h>

static_assert(ACCOUNT_WINDOW % 64 == 0 && (ACCOUNT_WINDOW & (ACCOUNT_WINDOW - 1)) == 0,
	      "whole words, and a place that a mask gives");

static uint64_t *word_of(struct account *a, uint64_t sequence)
{
	return &a->bits[sequence % ACCOUNT_WINDOW / 64];
}

static uint64_t bit_of(uint64_t sequence)
{
	return 1ull << sequence % 64;
}

void account_init(struct account *a)
{
	memset(a, 0, sizeof(*a));
}

/* The places of the numbers from `next` to `sequence` were those of others, a window before. */
static void advance(struct account *a, uint64_t sequence)
{
	if (sequence - a->next >= ACCOUNT_WINDOW) {
		memset(a->bits, 0, sizeof(a->bits));
	} else {
		for (uint64_t n = a->next; n <= sequence; n++)
			*word_of(a, n) &= ~bit_of(n);
	}
	a->next = sequence + 1;
}

void account_take(struct account *a, uint64_t sequence)
{
	if (a->next == 0)
		a->first = a->next = sequence;
	if (sequence >= a->next) {
		advance(a, sequence);
	} else if (a->next - sequence > ACCOUNT_WINDOW) {
		a->too_late++;
		return;
	} else if (*word_of(a, sequence) & bit_of(sequence)) {
		a->duplicated++;
		return;
	} else {
		a->reordered++;
		a->first = min_u64(a->first, sequence);
	}
	*word_of(a, sequence) |= bit_of(sequence);
	a->unique++;
}

uint64_t account_lost(const struct account *a, uint64_t expect)
{
	if (expect == 0)
		return a->next - a->first - a->unique;
	return max_u64(a->next, expect) - a->unique;
}

bool account_is_exact(const struct account *a, uint64_t expect)
{
	return a->unique == expect && a->next == expect && a->duplicated == 0 && a->too_late == 0;
}
