/* Values of options: see option.h. */
#include "common/conf/option.h"

#include "common/conf/parse.h"

#include <inttypes.h>

enum exit_code option_count(const char *option, const char *text, uint64_t min, uint64_t max,
			    uint64_t *ret)
{
	if (parse_u64(text, min, max, ret) == 0)
		return EXIT_DONE;
	return fail_exit("--%s \"%s\": expected a whole number from %" PRIu64 " to %" PRIu64,
			 option, text, min, max);
}

enum exit_code option_time(const char *option, const char *text, uint64_t *ret_ms)
{
	if (parse_time(text, 1, WAIT_CEILING_MS, ret_ms) == 0)
		return EXIT_DONE;
	return fail_exit("--%s \"%s\": expected a time, as 500ms or 10s, from 1ms to a day", option,
			 text);
}

enum exit_code option_unknown(const char *word)
{
	return fail_exit("option \"%s\": not known, or its value is missing or one too many; "
			 "--help tells more",
			 word);
}
