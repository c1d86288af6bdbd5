/* Aligned tables: see table.h. Cells are formatted twice, first to learn the widths. */
#include "common/io/table.h"

#include <string.h>

#define COLUMNS_MAX 24

static void format_text(const json_t *value, int len_max, char ret_text[TABLE_CELL_MAX])
{
	snprintf(ret_text, TABLE_CELL_MAX, "%.*s", len_max, json_string_value(value));
	for (char *at = ret_text; *at; at++)
		if (!is_printable(*at))
			*at = '?';
}

static void format_bytes(double bytes, char ret_text[TABLE_CELL_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t i = 0;

	for (; bytes >= 1024 && i < sizeof(units) / sizeof(units[0]) - 1; i++)
		bytes /= 1024;
	snprintf(ret_text, TABLE_CELL_MAX, i == 0 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
}

static void format_number(enum cell_kind kind, double value, char ret_text[TABLE_CELL_MAX])
{
	switch (kind) {
	case CELL_TEXT:
	case CELL_SHORT_ID:
	case CELL_COUNT:
		snprintf(ret_text, TABLE_CELL_MAX, "%.0f", value);
		return;
	case CELL_BYTES:
		format_bytes(value, ret_text);
		return;
	case CELL_RATE:
		snprintf(ret_text, TABLE_CELL_MAX, "%.1f Mbit/s", value / 1e6);
		return;
	case CELL_RTT:
		snprintf(ret_text, TABLE_CELL_MAX, "%.2f ms", value / 1e3);
		return;
	case CELL_AGE:
		snprintf(ret_text, TABLE_CELL_MAX, "%.1f s", value / 1e3);
		return;
	case CELL_SHARE:
		snprintf(ret_text, TABLE_CELL_MAX, "%.1f %%", value * 100);
		return;
	}
}

void cell_format(enum cell_kind kind, const json_t *value, char ret_text[TABLE_CELL_MAX])
{
	if (json_is_string(value) && json_string_length(value) > 0)
		format_text(value, kind == CELL_SHORT_ID ? 8 : TABLE_CELL_MAX - 1, ret_text);
	else if (json_is_number(value))
		format_number(kind, json_number_value(value), ret_text);
	else
		snprintf(ret_text, TABLE_CELL_MAX, "-");
}

static bool is_text(enum cell_kind kind)
{
	return kind == CELL_TEXT || kind == CELL_SHORT_ID;
}

/* Numbers stand to the right; nothing is padded behind the last column. */
static void print_cell(FILE *out, const struct column *c, const char *text, size_t width,
		       bool is_last)
{
	if (!is_text(c->kind))
		fprintf(out, "%*s", (int)width, text);
	else if (is_last)
		fputs(text, out);
	else
		fprintf(out, "%-*s", (int)width, text);
	fputs(is_last ? "\n" : "  ", out);
}

/* 0: no row has a value for it. */
static size_t column_width(const struct column *c, const json_t *rows)
{
	size_t width = 0;
	char text[TABLE_CELL_MAX];

	for (size_t i = 0; i < json_array_size(rows); i++) {
		cell_format(c->kind, json_object_get(json_array_get(rows, i), c->key), text);
		if (strcmp(text, "-") != 0 && strlen(text) > width)
			width = strlen(text);
	}
	return width > 0 && width < strlen(c->title) ? strlen(c->title) : width;
}

void table_print(FILE *out, const struct column *columns, size_t column_count, const json_t *rows)
{
	const struct column *shown[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX], count = 0;
	char text[TABLE_CELL_MAX];

	for (size_t i = 0; i < column_count; i++) {
		widths[count] = column_width(&columns[i], rows);
		if (json_array_size(rows) == 0)
			widths[count] = strlen(columns[i].title);
		if (widths[count] > 0)
			shown[count++] = &columns[i];
	}
	for (size_t i = 0; i < count; i++)
		print_cell(out, shown[i], shown[i]->title, widths[i], i + 1 == count);
	for (size_t row = 0; row < json_array_size(rows); row++)
		for (size_t i = 0; i < count; i++) {
			const json_t *from = json_array_get(rows, row);

			cell_format(shown[i]->kind, json_object_get(from, shown[i]->key), text);
			print_cell(out, shown[i], text, widths[i], i + 1 == count);
		}
}

void value_print(FILE *out, const json_t *value)
{
	const char *text = json_string_value(value);
	char number[TABLE_CELL_MAX] = "";

	if (!text) {
		cell_format(CELL_COUNT, value, number);
		text = number;
	}
	for (; *text; text++)
		fputc(is_printable(*text) ? *text : '?', out);
}

void refusal_print(FILE *out, const json_t *reply)
{
	value_print(out, json_object_get(reply, "code"));
	fputs(": ", out);
	value_print(out, json_object_get(reply, "error"));
}
