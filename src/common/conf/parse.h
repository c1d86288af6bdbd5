/* Numbers with units, as people write them. parse_u64 and parse_host are public (conf.h); these
 * are for the options. All are strict: no sign, no space, nothing behind the unit. The format_*
 * functions are their mirrors, for help and error lines. */
#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "common/conf/conf.h"

#define FORMAT_MAX 24 /* the longest output: 20 digits, a unit of two letters, NUL */

/* Bytes, with a K, M or G of 1024: 0, -EINVAL or -ERANGE. */
int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret_bytes);
/* Milliseconds: "500", "500ms" or "30s": 0, -EINVAL or -ERANGE. */
int parse_time(const char *text, uint64_t min, uint64_t max, uint64_t *ret_ms);

void format_size(uint64_t bytes, char ret_text[FORMAT_MAX]);
void format_time(uint64_t ms, char ret_text[FORMAT_MAX]);

#endif
