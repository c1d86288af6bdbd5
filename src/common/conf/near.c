/* "Did you mean": the nearest of some names by optimal string alignment distance (insertions,
 * deletions, substitutions and swaps of neighbours), at most 2 and less than half of the name. */
#include "common/base/minmax.h"
#include "common/conf/draft.h"

#include <string.h>

#define NEAR_DISTANCE_MAX 2u
#define NEAR_LEN_MAX 31u /* our longest name is half as long */

void near_init(struct near *n, const char *word)
{
	n->word = word;
	n->best = NULL;
	n->distance = NEAR_DISTANCE_MAX + 1;
}

static bool is_alike(char a, char b)
{
	return a == b || (a == '-' && b == '_') || (a == '_' && b == '-');
}

/* Both are at most NEAR_LEN_MAX long. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t d[NEAR_LEN_MAX + 1][NEAR_LEN_MAX + 1];

	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= b_len; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = d[i - 1][j - 1] + !is_alike(a[i - 1], b[j - 1]);
			size_t gap = min_u64(d[i - 1][j], d[i][j - 1]) + 1;

			d[i][j] = min_u64(change, gap);
			if (i > 1 && j > 1 && is_alike(a[i - 1], b[j - 2]) &&
			    is_alike(a[i - 2], b[j - 1]))
				d[i][j] = min_u64(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[a_len][b_len];
}

void near_try(struct near *n, const char *name)
{
	size_t word_len = strlen(n->word), name_len = strlen(name), found;

	if (word_len > NEAR_LEN_MAX || name_len > NEAR_LEN_MAX)
		return;
	found = distance(n->word, word_len, name, name_len);
	if (found >= n->distance || found * 2 >= name_len)
		return;
	n->best = name;
	n->distance = found;
}
