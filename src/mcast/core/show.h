/* Text from outside in a line of ours. */
#ifndef MCAST_SHOW_H
#define MCAST_SHOW_H

#include <stddef.h>

#define SHOW_BYTES_MAX 72 /* a name of RULE_NAME_MAX in quotes, and "..." */

/* In double quotes, what cannot be printed as '?', what is too long cut and marked with "...".
 * Reads no further than NUL or `max` bytes. Returns `ret_text`. */
const char *show(const char *text, size_t max, char ret_text[SHOW_BYTES_MAX]);

#endif
