/* Replies for people: see print.h; docs/multicast.md says what is in them. Tables are made of rows
 * that hold what the reply has, and texts that are put together here. */
#include "mcast/client/print.h"

#include "common/base/hostport.h"
#include "common/io/table.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STREAM_TEXT_MAX 192 /* two addresses, a port and an interface that are good: 130 */

static const struct column rule_columns[] = {
	{"NAME", "name", CELL_TEXT},	  {"STATE", "state", CELL_TEXT},
	{"WORKER", "worker", CELL_COUNT}, {"INPUT", "input", CELL_TEXT},
	{"SECOND", "second", CELL_TEXT},  {"MATCH", "match", CELL_TEXT},
	{"OUTPUTS", "first", CELL_TEXT},  {"WHY", "why", CELL_TEXT},
};

static const struct column stream_columns[] = {
	{"NAME", "name", CELL_TEXT},
	{"PPS", "pps", CELL_COUNT},
	{"RATE", "bps", CELL_RATE},
	{"RECEIVED", "received_packets", CELL_COUNT},
	{"MATCHED", "matched_packets", CELL_COUNT},
	{"SENT", "sent_packets", CELL_COUNT},
	{"BYTES", "sent_bytes", CELL_BYTES},
	{"JITTER", "jitter_us", CELL_RTT},
	{"IDLE", "idle_ms", CELL_AGE},
	{"DROPS", "dropped", CELL_TEXT},
};

static const struct column worker_columns[] = {
	{"WORKER", "index", CELL_COUNT},     {"PID", "pid", CELL_COUNT},
	{"STREAMS", "streams", CELL_COUNT},  {"PPS", "pps", CELL_COUNT},
	{"BUSY", "busy", CELL_SHARE},	     {"STATE", "state", CELL_TEXT},
	{"LOST", "queue_drops", CELL_COUNT}, {"DAMAGED", "damaged", CELL_COUNT},
	{"STRAYS", "strays", CELL_COUNT},
};

/* ---- one line ---- */

static void print_member(FILE *out, const char *before, const json_t *reply, const char *key)
{
	fputs(before, out);
	value_print(out, json_object_get(reply, key));
}

static void print_ping(FILE *out, const json_t *reply)
{
	print_member(out, "version ", reply, "version");
	print_member(out, ", process ", reply, "pid");
	print_member(out, ", up for ", reply, "uptime_s");
	fputs(" s\n", out);
}

static void print_added(FILE *out, const json_t *reply)
{
	print_member(out, "added ", reply, "name");
	if (json_object_get(reply, "waiting"))
		print_member(out, ", which waits: ", reply, "waiting");
	fputc('\n', out);
}

static void print_changed(FILE *out, const json_t *reply)
{
	print_member(out, "changed ", reply, "name");
	fputc('\n', out);
}

static void print_counts(FILE *out, const json_t *reply)
{
	print_member(out, "", reply, "added");
	print_member(out, " added, ", reply, "changed");
	print_member(out, " changed, ", reply, "removed");
	fputs(" removed\n", out);
}

static void print_saved(FILE *out, const json_t *reply)
{
	print_member(out, "", reply, "count");
	print_member(out, " rules in ", reply, "file");
	fputc('\n', out);
}

/* ---- tables ---- */

/* "10.0.0.9/239.1.1.1:5001@br0": as a rule without a name is called. NULL when there is none. */
static json_t *stream_text(const json_t *stream, const char *address_key)
{
	const char *address = json_string_value(json_object_get(stream, address_key));
	const char *interface = json_string_value(json_object_get(stream, "interface"));
	const char *source = json_string_value(json_object_get(stream, "source"));
	json_int_t port = json_integer_value(json_object_get(stream, "port"));
	char place[HOSTPORT_TEXT_MAX], text[STREAM_TEXT_MAX];

	if (!address)
		return NULL;
	hostport_text(address, (uint16_t)port, place);
	snprintf(text, sizeof(text), "%.46s%s%.60s%s%.15s", source ? source : "", source ? "/" : "",
		 place, interface ? "@" : "", interface ? interface : "");
	return json_string(text);
}

/* The first of the outputs, and how many there are beside it. */
static json_t *outputs_text(const json_t *outputs)
{
	size_t count = json_array_size(outputs);
	json_t *first = stream_text(json_array_get(outputs, 0), "address");
	json_t *text;

	if (!first || count == 1)
		return first;
	text = json_sprintf("%s +%zu", json_string_value(first), count - 1);
	json_decref(first);
	return text;
}

/* NULL is fine: the column is then left out, or has a "-". */
static void set(json_t *row, const char *key, json_t *value_take)
{
	if (value_take)
		json_object_set_new(row, key, value_take);
}

static json_t *rule_row(const json_t *rule)
{
	const json_t *inputs = json_object_get(rule, "inputs");
	const char *match = json_string_value(json_object_get(rule, "match"));
	json_t *row = json_copy((json_t *)rule);

	set(row, "input", stream_text(json_array_get(inputs, 0), "group"));
	set(row, "second", stream_text(json_array_get(inputs, 1), "group"));
	set(row, "first", outputs_text(json_object_get(rule, "outputs")));
	if (match && strcmp(match, "none") == 0)
		json_object_del(row, "match");
	return row;
}

/* "copy 12, busy 3": those that there are. */
static json_t *drops_text(const json_t *drops)
{
	char text[TABLE_CELL_MAX] = "";
	json_t *from = (json_t *)drops; /* jansson's iterator has no const */
	const json_t *value;
	const char *reason;
	size_t len = 0;

	json_object_foreach(from, reason, value) {
		json_int_t count = json_integer_value(value);

		if (count > 0 && len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s%.32s %" JSON_INTEGER_FORMAT, len ? ", " : "",
						reason, count);
	}
	return text[0] ? json_string(text) : NULL;
}

static json_t *stream_row(const json_t *stream)
{
	json_t *row = json_copy((json_t *)stream);

	set(row, "dropped", drops_text(json_object_get(stream, "drops")));
	return row;
}

/* Rows that are no objects have no values. */
static json_t *rows_of(const json_t *list, json_t *(*row)(const json_t *from))
{
	json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *from = json_array_get(list, i);

		json_array_append_new(rows, json_is_object(from) ? row(from) : json_object());
	}
	return rows;
}

static void print_rows(FILE *out, const struct column *columns, size_t count, json_t *rows_take)
{
	table_print(out, columns, count, rows_take);
	json_decref(rows_take);
}

static void print_list(FILE *out, const json_t *reply)
{
	const json_t *rules = json_object_get(reply, "rules");

	print_rows(out, rule_columns, COUNT(rule_columns), rows_of(rules, rule_row));
	fprintf(out, "%zu %s\n", json_array_size(rules),
		json_array_size(rules) == 1 ? "rule" : "rules");
}

/* The sums are a last line, of all streams, when more than one is shown. */
static void print_stats(FILE *out, const json_t *reply)
{
	json_t *rows = rows_of(json_object_get(reply, "streams"), stream_row);
	const json_t *total = json_object_get(reply, "total");

	if (json_is_object(total) && json_array_size(rows) != 1) {
		json_t *sums = stream_row(total);

		set(sums, "name", json_string("(all)"));
		json_array_append_new(rows, sums);
	}
	print_rows(out, stream_columns, COUNT(stream_columns), rows);
}

static void print_workers(FILE *out, const json_t *reply)
{
	table_print(out, worker_columns, COUNT(worker_columns), json_object_get(reply, "workers"));
}

static const struct {
	const char *op;
	void (*print)(FILE *out, const json_t *reply);
} printers[] = {
	{"ping", print_ping},	 {"add", print_added},	   {"change", print_changed},
	{"batch", print_counts}, {"reload", print_counts}, {"save", print_saved},
	{"list", print_list},	 {"stats", print_stats},   {"workers", print_workers},
};

void print_reply(FILE *out, const char *op, const json_t *reply)
{
	for (size_t i = 0; i < COUNT(printers); i++) {
		if (strcmp(printers[i].op, op) == 0) {
			printers[i].print(out, reply);
			return;
		}
	}
	fprintf(out, "%s: done\n", op);
}
