/* What came out, for people or for programs, to standard output. */
#ifndef ECHO_REPORT_H
#define ECHO_REPORT_H

#include "echo/client/summary.h"

#include <stdio.h>

void report_text(const struct summary *s, FILE *out);
/* One object on one line. */
void report_json(const struct summary *s, FILE *out);

#endif
