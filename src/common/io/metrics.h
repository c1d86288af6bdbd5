/* The reply to `stats` (docs/control.md) as Prometheus text, exposition format 0.0.4: base
 * units (bytes, seconds, ratios), _total on what only grows. */
#ifndef IO_METRICS_H
#define IO_METRICS_H

#include <jansson.h>
#include <stdio.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Numbers that `stats` does not have are left out. */
void metrics_print(FILE *out, const json_t *stats);

#endif
