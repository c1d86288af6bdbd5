/* What the lines of the emulator's language do. */
#ifndef EMULATOR_EXECUTE_H
#define EMULATOR_EXECUTE_H

#include "emulator/emulator.h"

#include <stdio.h>

/* Does what a line (without its end) says and writes a reply of one line: "ok", "ok {...}" or
 * "error: ..."; nothing for a line that is empty or begins with '#'. 0 or a negative errno. */
int execute(struct emulator *e, const char *line, FILE *reply);

#endif
