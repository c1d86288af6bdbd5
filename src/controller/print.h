/* A module's reply for people: one line for what was done, a table for what was asked. */
#ifndef CONTROLLER_PRINT_H
#define CONTROLLER_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* `reply` has "ok": true. What it lacks is left out. */
void print_reply(FILE *out, const char *op, const json_t *reply);

#endif
