/* The replies to `stats` and `health_check` (docs/control.md) as Prometheus text, exposition format
 * 0.0.4: base units (bytes, seconds, ratios), _total on what only grows. */
#ifndef IO_METRICS_H
#define IO_METRICS_H

#include <jansson.h>
#include <stdio.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What the replies do not have is left out. */
void metrics_print(FILE *out, const json_t *stats, const json_t *health);

#endif
