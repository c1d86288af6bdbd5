/* Replies for people: a JSON list of objects as an aligned table (a column names its key and how to
 * read the value), single values, refusals. Text from the other end is made harmless for a
 * terminal. */
#ifndef IO_TABLE_H
#define IO_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_CELL_MAX 256

enum cell_kind {
	CELL_TEXT,
	CELL_SHORT_ID, /* the first 8 characters tell ids apart */
	CELL_COUNT,
	CELL_BYTES,
	CELL_RATE,  /* from bits per second */
	CELL_RTT,   /* from microseconds */
	CELL_AGE,   /* from milliseconds */
	CELL_SHARE, /* from 0..1 */
};

struct column {
	const char *title;
	const char *key;
	enum cell_kind kind;
};

/* What may go to a terminal as it is: escape sequences start with what is not. */
static inline bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* "-" for a value that is missing or of another type. */
void cell_format(enum cell_kind kind, const json_t *value, char ret_text[TABLE_CELL_MAX]);

/* A column for which no row has a value is left out: not every module has all of them. */
void table_print(FILE *out, const struct column *columns, size_t column_count, const json_t *rows);

/* A text or number of any length. */
void value_print(FILE *out, const json_t *value);

/* `reply` has "ok": false: "code: error", without a line end. */
void refusal_print(FILE *out, const json_t *reply);

#endif
