/* Replies for people: see print.h; docs/control.md says what is in them. */
#include "controller/print.h"

#include "common/io/table.h"

#include <stdbool.h>
#include <string.h>

/* Two tables, so that neither is wider than a terminal: the paths as connections, */
static const struct column path_columns[] = {
	{"TUNNEL", "tunnel", CELL_SHORT_ID},   {"WORKER", "worker", CELL_COUNT},
	{"SIDE", "side", CELL_TEXT},	       {"PEER", "peer", CELL_TEXT},
	{"LISTENER", "listener", CELL_TEXT},   {"STATE", "state", CELL_TEXT},
	{"RATIO", "ratio", CELL_COUNT},	       {"SHARE", "share", CELL_SHARE},
	{"RATE", "rate_bps", CELL_RATE},       {"RTT", "rtt_us", CELL_RTT},
	{"BASE-RTT", "base_rtt_us", CELL_RTT}, {"HOP-RTT", "hop_rtt_us", CELL_RTT},
	{"DIALS", "dials", CELL_COUNT},	       {"LOSSES", "losses", CELL_COUNT},
	{"REDIALS", "redials", CELL_COUNT},    {"WHY", "why", CELL_TEXT},
};

/* and what became of the bytes on them. */
static const struct column path_bytes_columns[] = {
	{"TUNNEL", "tunnel", CELL_SHORT_ID},
	{"WORKER", "worker", CELL_COUNT},
	{"PEER", "peer", CELL_TEXT},
	{"IN-FLIGHT", "inflight_bytes", CELL_BYTES},
	{"CAP", "cap_bytes", CELL_BYTES},
	{"SENT", "sent_bytes", CELL_BYTES},
	{"RESENT", "resent_bytes", CELL_BYTES},
	{"RECEIVED", "received_bytes", CELL_BYTES},
	{"DUPLICATE", "duplicate_bytes", CELL_BYTES},
	{"STALLS", "stalls", CELL_COUNT},
	{"PARKS", "parks", CELL_COUNT},
	{"DOUBT", "doubt_us", CELL_RTT},
};

static const struct column session_columns[] = {
	{"TUNNEL", "tunnel", CELL_SHORT_ID},
	{"ID", "id", CELL_COUNT},
	{"PEER", "peer", CELL_TEXT},
	{"STATE", "state", CELL_TEXT},
	{"SENT", "sent_bytes", CELL_BYTES},
	{"ACKED", "acked_bytes", CELL_BYTES},
	{"RECEIVED", "received_bytes", CELL_BYTES},
	{"DELIVERED", "delivered_bytes", CELL_BYTES},
	{"WINDOW", "window_bytes", CELL_BYTES},
	{"AGE", "age_ms", CELL_AGE},
	{"IDLE", "idle_ms", CELL_AGE},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_list(FILE *out, const char *between, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		fputs(i == 0 ? "" : between, out);
		value_print(out, json_array_get(list, i));
	}
}

/* "3 paths", "1 path"; nothing when the reply does not say. */
static void print_count(FILE *out, const char *before, const json_t *reply, const char *key)
{
	json_int_t count = json_integer_value(json_object_get(reply, key));

	if (json_is_integer(json_object_get(reply, key)))
		fprintf(out, "%s%" JSON_INTEGER_FORMAT " %.*s", before, count,
			(int)strlen(key) - (count == 1), key);
}

static void print_health(FILE *out, const json_t *reply)
{
	const json_t *degraded = json_object_get(reply, "degraded");

	fputs(json_is_true(json_object_get(reply, "live")) ? "live" : "not live", out);
	fputs(json_is_true(json_object_get(reply, "ready")) ? ", ready" : ", not ready", out);
	if (json_array_size(degraded) > 0)
		fputs(", degraded: ", out);
	print_list(out, "; ", degraded);
}

static void print_prepared(FILE *out, const json_t *reply)
{
	fputs("prepared", out);
	if (json_array_size(json_object_get(reply, "ratios")) > 0)
		fputs(", ratios ", out);
	print_list(out, " ", json_object_get(reply, "ratios"));
}

/* Subflows that were closed all the same; nothing when there are none. */
static void print_cut(FILE *out, const json_t *reply)
{
	json_int_t cut = json_integer_value(json_object_get(reply, "cut"));

	if (cut > 0)
		fprintf(out, ", %" JSON_INTEGER_FORMAT " could not be drained in time", cut);
}

static void print_updated(FILE *out, const json_t *reply)
{
	const json_t *left_behind = json_object_get(reply, "tunnels_left_behind");

	fputs("the prepared topology is in force", out);
	print_count(out, ", ", reply, "paths");
	print_count(out, ", ", reply, "listeners");
	print_cut(out, reply);
	if (json_array_size(left_behind) > 0)
		fputs(", tunnels left behind: ", out);
	print_list(out, " ", left_behind);
}

/* A proxy has no sessions to end. */
static void print_reset(FILE *out, const json_t *reply)
{
	fputs("done", out);
	if (json_object_get(reply, "tunnels"))
		print_count(out, ", hung up on ", reply, "tunnels");
	else
		print_count(out, ", ended ", reply, "sessions");
}

static void print_close(FILE *out, const json_t *reply)
{
	(void)reply;
	fputs("the module lets its sessions finish and ends", out);
}

static void print_aborted(FILE *out, const json_t *reply)
{
	(void)reply;
	fputs("the prepared topology is dropped", out);
}

static void print_weight(FILE *out, const json_t *reply)
{
	fputs("in use, ratio ", out);
	value_print(out, json_object_get(reply, "ratio"));
}

static void print_removed(FILE *out, const json_t *reply)
{
	fputs("removed", out);
	print_cut(out, reply);
}

static void print_scheduler(FILE *out, const json_t *reply)
{
	(void)reply;
	fputs("in force", out);
}

/* ---- tables ---- */

static void print_paths(FILE *out, const json_t *reply)
{
	const json_t *paths = json_object_get(reply, "paths");

	table_print(out, path_columns, COUNT(path_columns), paths);
	fputc('\n', out);
	table_print(out, path_bytes_columns, COUNT(path_bytes_columns), paths);
}

static void print_sessions(FILE *out, const json_t *reply)
{
	const json_t *sessions = json_object_get(reply, "sessions");

	table_print(out, session_columns, COUNT(session_columns), sessions);
	fprintf(out, "%zu of ", json_array_size(sessions));
	value_print(out, json_object_get(reply, "total"));
	fputc('\n', out);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* The unit of a number in the stats follows from its name, in the group "bytes" from that. */
static enum cell_kind kind_of(const char *group, const char *key)
{
	if (strcmp(group, "bytes") == 0 || ends_with(key, "_bytes") || ends_with(key, "_bytes_max"))
		return CELL_BYTES;
	return ends_with(key, "_ms") ? CELL_AGE : CELL_COUNT;
}

static void print_figure(FILE *out, const char *group, const char *key, const json_t *value)
{
	char name[64], text[TABLE_CELL_MAX];
	enum cell_kind kind = kind_of(group, key);
	size_t key_len = strlen(key) - (kind == CELL_AGE ? strlen("_ms") : 0); /* shown in s */

	cell_format(kind, value, text);
	snprintf(name, sizeof(name), "%s%s%.*s", group, group[0] ? "." : "", (int)key_len, key);
	fprintf(out, "%-32s %s\n", name, text);
}

static void print_group(FILE *out, const char *group, const json_t *members)
{
	json_t *from = (json_t *)members; /* jansson's iterator has no const */
	const json_t *value;
	const char *key;

	json_object_foreach(from, key, value) {
		if (json_is_object(value) && group[0] == '\0')
			print_group(out, key, value);
		else if (!json_is_array(value) && !json_is_object(value) && strcmp(key, "ok") != 0)
			print_figure(out, group, key, value);
	}
}

static void print_stats(FILE *out, const json_t *reply)
{
	print_group(out, "", reply);
	if (json_array_size(json_object_get(reply, "paths")) == 0)
		return;
	fputc('\n', out);
	print_paths(out, reply);
}

struct printer {
	const char *op;
	bool is_line; /* "op: ...", else it has its own lines */
	void (*print)(FILE *out, const json_t *reply);
};

static const struct printer printers[] = {
	{"health_check", true, print_health}, {"update_topo_pre", true, print_prepared},
	{"update_topo", true, print_updated}, {"abort_topo", true, print_aborted},
	{"set_weight", true, print_weight},   {"add_path", true, print_weight},
	{"remove_path", true, print_removed}, {"set_scheduler", true, print_scheduler},
	{"reset", true, print_reset},	      {"close", true, print_close},
	{"stats", false, print_stats},	      {"paths", false, print_paths},
	{"sessions", false, print_sessions},
};

void print_reply(FILE *out, const char *op, const json_t *reply)
{
	for (size_t i = 0; i < COUNT(printers); i++) {
		if (strcmp(printers[i].op, op) != 0)
			continue;
		if (printers[i].is_line)
			fprintf(out, "%s: ", op);
		printers[i].print(out, reply);
		if (printers[i].is_line)
			fputc('\n', out);
	}
}
