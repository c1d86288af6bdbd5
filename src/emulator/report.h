/* Settings and counters as one JSON object on one line. */
#ifndef EMULATOR_REPORT_H
#define EMULATOR_REPORT_H

#include "emulator/emulator.h"

#include <stdio.h>

/* {"links": {NAME: {..., "a>b": {...}, "b>a": {...}}}} of one link, or of all when it is NULL. */
void report(const struct emulator *e, struct cable *only, FILE *out);

#endif
