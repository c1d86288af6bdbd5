/* See show.h. */
#include "mcast/core/show.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX (SHOW_BYTES_MAX - 6) /* quotes, "..." and NUL */

const char *show(const char *text, size_t max, char ret_text[SHOW_BYTES_MAX])
{
	size_t len = strnlen(text, max);
	size_t shown = len < SHOWN_MAX ? len : SHOWN_MAX;

	snprintf(ret_text, SHOW_BYTES_MAX, "\"%.*s\"%s", (int)shown, text,
		 shown < len ? "..." : "");
	for (char *at = ret_text; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return ret_text;
}
