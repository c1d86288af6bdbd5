/* Memory for rules and what is kept about them. When there is none the program ends: half of a
 * change is worth less than a restart. */
#ifndef MCAST_MEMORY_H
#define MCAST_MEMORY_H

#include <stdlib.h>

/* Zeroed; NULL for a count of 0. */
static inline void *memory_new(size_t count, size_t size)
{
	void *memory = count ? calloc(count, size) : NULL;

	if (count && !memory)
		abort();
	return memory;
}

/* `array` with room for one more than `count`; it may move, and `*room` says for how many. */
static inline void *memory_grow(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 16;
	array = reallocarray(array, *room, size);
	if (!array)
		abort();
	return array;
}

#endif
