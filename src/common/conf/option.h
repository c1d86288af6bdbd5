/* Values of options, or one line that says which option, what it was given, and what was expected.
 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include "common/base/fail.h"

#include <stdint.h>

enum exit_code option_count(const char *option, const char *text, uint64_t min, uint64_t max,
			    uint64_t *ret);
/* "500ms", "10s"; of at least 1 ms, and at most a day. */
enum exit_code option_time(const char *option, const char *text, uint64_t *ret_ms);
/* What getopt did not know, or what came without its value. */
enum exit_code option_unknown(const char *word);

#endif
