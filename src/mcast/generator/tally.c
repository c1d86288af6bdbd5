#include "mcast/generator/tally.h"

#include <string.h>

void tally_init(struct tally *t)
{
	memset(t, 0, sizeof(*t));
	hist_init(&t->late_ns);
}

void tally_error(struct tally *t, int number)
{
	size_t i = 0;

	while (i < t->error_count && t->errors[i].number != number)
		i++;
	if (i == TALLY_ERRORS_MAX)
		i--;
	else if (i == t->error_count)
		t->errors[t->error_count++] = (struct tally_error){number, 0};
	t->errors[i].times++;
}
