/* Every option of a module in one table: its name on the command line and in a file, its field in
 * struct conf, its range, its default and its line of --help. Adding one is adding a row (and its
 * id); command line, file and help cannot drift apart. */
#include "common/conf/draft.h"
#include "common/conf/parse.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum option_kind {
	KIND_COUNT,
	KIND_SIZE,
	KIND_TIME,
	KIND_SCHEDULER,
	KIND_KEY_FILE,
	KIND_FLAG,
	KIND_LEVEL,
	KIND_FORMAT,
};

struct option_row {
	const char *group; /* a headline above this row in --help, or NULL */
	const char *name;
	enum option_kind kind;
	size_t field, field_size;  /* in struct conf */
	uint64_t min, max, preset; /* of a number */
	const char *preset_text;   /* of what is no number; NULL: all zeros */
	const char *help;
};

#define FIELD(member) offsetof(struct conf, member), sizeof(((struct conf *)NULL)->member)

static const struct option_row rows[OPTION_COUNT] = {
	[OPTION_WORKERS] = {"Work", "workers", KIND_COUNT, FIELD(workers), 1, WORKERS_MAX,
			    WORKERS_DEFAULT, NULL, "threads that carry tunnels"},
	[OPTION_SCHEDULER] = {NULL, "scheduler", KIND_SCHEDULER, FIELD(scheduler), 0, 0, 0,
			      "adaptive", "how bytes are split over the paths"},
	[OPTION_MAX_FRAME] = {NULL, "max-frame", KIND_SIZE, FIELD(payload_max), FRAME_PAYLOAD_MIN,
			      FRAME_PAYLOAD_MAX, FRAME_PAYLOAD_DEFAULT, NULL,
			      "largest frame offered to the neighbours"},
	[OPTION_MAX_WINDOW] = {NULL, "max-window", KIND_SIZE, FIELD(window_max_bytes),
			       FIRST_CREDIT_BYTES, WINDOW_CEILING_BYTES, WINDOW_MAX_BYTES, NULL,
			       "most bytes under way in one session"},
	[OPTION_MEMORY_LIMIT] = {"Limits of the process", "memory-limit", KIND_SIZE,
				 FIELD(memory_limit_bytes), MEMORY_LIMIT_MIN, MEMORY_LIMIT_MAX,
				 MEMORY_LIMIT_DEFAULT, NULL,
				 "memory for bytes under way; half of it covers first credits"},
	[OPTION_MAX_SESSIONS] = {NULL, "max-sessions", KIND_COUNT, FIELD(sessions_max), 1,
				 MEMORY_LIMIT_MAX / 2 / FIRST_CREDIT_BYTES, SESSIONS_MAX_DEFAULT,
				 NULL, "client connections at a time"},
	[OPTION_CLIENT_WAIT] = {"Times (500, 500ms and 30s are understood)", "client-wait",
				KIND_TIME, FIELD(client_wait_ms), 0, WAIT_CEILING_MS,
				CLIENT_WAIT_MS, NULL,
				"a client waits for the first path; 0 refuses at once"},
	[OPTION_SESSION_WAIT] = {NULL, "session-wait", KIND_TIME, FIELD(session_wait_ms), 0,
				 WAIT_CEILING_MS, SESSION_WAIT_MS, NULL,
				 "sessions outlive the loss of all paths"},
	[OPTION_OPEN_WAIT] = {NULL, "open-wait", KIND_TIME, FIELD(open_wait_ms), 0, WAIT_CEILING_MS,
			      OPEN_WAIT_MS, NULL,
			      "data is held until the start of its session arrives"},
	[OPTION_RESET_WAIT] = {NULL, "reset-wait", KIND_TIME, FIELD(reset_wait_ms), 0,
			       WAIT_CEILING_MS, RESET_WAIT_MS, NULL,
			       "bytes sent before a reset may still be delivered"},
	[OPTION_TOPO_WAIT] = {NULL, "topo-wait", KIND_TIME, FIELD(topo_wait_ms), 0, WAIT_CEILING_MS,
			      TOPO_WAIT_MS, NULL, "update_topo and remove_path wait"},
	[OPTION_DRAIN_WAIT] = {NULL, "drain-wait", KIND_TIME, FIELD(drain_wait_ms), 0,
			       WAIT_CEILING_MS, DRAIN_WAIT_MS, NULL,
			       "close and SIGTERM let sessions finish"},
	[OPTION_HELLO_WAIT] = {NULL, "hello-wait", KIND_TIME, FIELD(hello_wait_ms), 1,
			       WAIT_CEILING_MS, HELLO_WAIT_MS, NULL,
			       "an accepted neighbour must have said hello"},
	[OPTION_KEY_FILE] = {"Authentication", "key-file", KIND_KEY_FILE, FIELD(key_file), 0, 0, 0,
			     NULL, "16 to 256 bytes that all modules of a chain share"},
	[OPTION_REQUIRE_AUTH] = {NULL, "require-auth", KIND_FLAG, FIELD(require_auth), 0, 0, 0,
				 NULL, "without a key, loopback addresses only"},
	[OPTION_LOG_LEVEL] = {"Log (standard error)", "log-level", KIND_LEVEL, FIELD(log_level), 0,
			      0, 0, "info", "error, warn, info or debug"},
	[OPTION_LOG_FORMAT] = {NULL, "log-format", KIND_FORMAT, FIELD(log_format), 0, 0, 0, "text",
			       "text or json"},
};

const char *option_name(enum option_id id)
{
	return rows[id].name;
}

bool option_is_flag(enum option_id id)
{
	return rows[id].kind == KIND_FLAG;
}

/* Clients come to the ingress. A proxy takes whatever an end does: see is_about_sessions. */
bool option_is_of(enum module m, enum option_id id)
{
	return m != MODULE_EGRESS || id != OPTION_CLIENT_WAIT;
}

void option_key(const char *name, char ret_key[32])
{
	snprintf(ret_key, 32, "%s", name);
	for (char *c = ret_key; *c; c++)
		if (*c == '-')
			*c = '_';
}

enum option_id option_by_key(enum module m, const char *key)
{
	enum option_id id;
	char own[32];

	for (id = 0; id < OPTION_COUNT; id++) {
		option_key(rows[id].name, own);
		if (option_is_of(m, id) && strcmp(own, key) == 0)
			break;
	}
	return id;
}

static void number_store(struct conf *conf, const struct option_row *row, uint64_t value)
{
	char *field = (char *)conf + row->field;
	uint32_t narrow = (uint32_t)value;

	if (row->field_size == sizeof(value))
		memcpy(field, &value, sizeof(value));
	else
		memcpy(field, &narrow, sizeof(narrow));
}

static int count_set(struct draft *d, const struct option_row *row, const char *where,
		     const char *text)
{
	uint64_t value;

	if (parse_u64(text, row->min, row->max, &value))
		return draft_fail(d, where, text,
				  "expected a whole number from %" PRIu64 " to %" PRIu64, row->min,
				  row->max);
	number_store(&d->conf, row, value);
	return 0;
}

static int size_set(struct draft *d, const struct option_row *row, const char *where,
		    const char *text)
{
	char min[FORMAT_MAX], max[FORMAT_MAX];
	uint64_t value;

	if (parse_size(text, row->min, row->max, &value)) {
		format_size(row->min, min);
		format_size(row->max, max);
		return draft_fail(d, where, text,
				  "expected bytes from %s to %s, a number with K, M, G or nothing "
				  "behind it",
				  min, max);
	}
	number_store(&d->conf, row, value);
	return 0;
}

static int time_set(struct draft *d, const struct option_row *row, const char *where,
		    const char *text)
{
	char min[FORMAT_MAX], max[FORMAT_MAX];
	uint64_t value;

	if (parse_time(text, row->min, row->max, &value)) {
		format_time(row->min, min);
		format_time(row->max, max);
		return draft_fail(d, where, text,
				  "expected a time from %s to %s, such as 500ms or 30s", min, max);
	}
	number_store(&d->conf, row, value);
	return 0;
}

static void text_store(struct conf *conf, const struct option_row *row, const char *text)
{
	snprintf((char *)conf + row->field, row->field_size, "%s", text);
}

static int scheduler_set(struct draft *d, const struct option_row *row, const char *where,
			 const char *text)
{
	char names[NAMES_TEXT_MAX];

	for (const char *const *s = d->schedulers; *s; s++)
		if (strcmp(*s, text) == 0) {
			text_store(&d->conf, row, text);
			return 0;
		}
	names_text(d->schedulers, names);
	return draft_fail(d, where, text, "expected one of: %s", names);
}

static int key_file_set(struct draft *d, const struct option_row *row, const char *where,
			const char *text)
{
	if (text[0] == '\0' || strlen(text) >= row->field_size)
		return draft_fail(d, where, text, "expected a file name of 1 to %zu bytes",
				  row->field_size - 1);
	if (key_read(d, where, text))
		return -EINVAL;
	text_store(&d->conf, row, text);
	return 0;
}

static int flag_set(struct draft *d, const struct option_row *row, const char *where,
		    const char *text)
{
	bool is_true = strcmp(text, "true") == 0;

	if (!is_true && strcmp(text, "false") != 0)
		return draft_fail(d, where, text, "expected true or false");
	memcpy((char *)&d->conf + row->field, &is_true, sizeof(is_true));
	return 0;
}

static int level_set(struct draft *d, const char *where, const char *text)
{
	if (log_level_parse(text, &d->conf.log_level))
		return draft_fail(d, where, text, "expected error, warn, info or debug");
	return 0;
}

static int format_set(struct draft *d, const char *where, const char *text)
{
	if (log_format_parse(text, &d->conf.log_format))
		return draft_fail(d, where, text, "expected text or json");
	return 0;
}

static int row_set(struct draft *d, const struct option_row *row, const char *where,
		   const char *text)
{
	switch (row->kind) {
	case KIND_COUNT:
		return count_set(d, row, where, text);
	case KIND_SIZE:
		return size_set(d, row, where, text);
	case KIND_TIME:
		return time_set(d, row, where, text);
	case KIND_SCHEDULER:
		return scheduler_set(d, row, where, text);
	case KIND_KEY_FILE:
		return key_file_set(d, row, where, text);
	case KIND_FLAG:
		return flag_set(d, row, where, text);
	case KIND_LEVEL:
		return level_set(d, where, text);
	case KIND_FORMAT:
		return format_set(d, where, text);
	}
	return -EINVAL;
}

int option_set(struct draft *d, enum option_id id, const char *where, const char *text)
{
	d->is_given[id] = true;
	return row_set(d, &rows[id], where, text);
}

void option_set_defaults(struct draft *d)
{
	for (const struct option_row *row = rows; row < rows + OPTION_COUNT; row++) {
		if (row->max > 0)
			number_store(&d->conf, row, row->preset);
		else if (row->preset_text && row_set(d, row, "preset", row->preset_text))
			assert(!"the table's own values are good");
	}
}

/* What stands behind "=" in --help; "" for a flag. */
static const char *kind_placeholder(enum option_kind kind)
{
	static const char *const names[] = {
		[KIND_COUNT] = "=N",	    [KIND_SIZE] = "=SIZE",     [KIND_TIME] = "=TIME",
		[KIND_SCHEDULER] = "=NAME", [KIND_KEY_FILE] = "=FILE", [KIND_FLAG] = "",
		[KIND_LEVEL] = "=LEVEL",    [KIND_FORMAT] = "=FORMAT",
	};

	return names[kind];
}

/* "" when there is none to tell. */
static void preset_format(const struct option_row *row, char ret_text[FORMAT_MAX])
{
	if (row->kind == KIND_SIZE)
		format_size(row->preset, ret_text);
	else if (row->kind == KIND_TIME)
		format_time(row->preset, ret_text);
	else if (row->kind == KIND_COUNT)
		snprintf(ret_text, FORMAT_MAX, "%" PRIu64, row->preset);
	else
		snprintf(ret_text, FORMAT_MAX, "%s", row->preset_text ? row->preset_text : "");
}

static void row_help(const struct option_row *row, FILE *out)
{
	char left[64], preset[FORMAT_MAX];

	snprintf(left, sizeof(left), "--%s%s", row->name, kind_placeholder(row->kind));
	preset_format(row, preset);
	fprintf(out, "  %-22s %s", left, row->help);
	if (preset[0])
		fprintf(out, " [%s]", preset);
	fputc('\n', out);
}

/* Sessions begin and end at an ingress or egress. A proxy takes these options too, so that it can
 * share a file with either, and makes no use of them. */
static bool is_about_sessions(enum option_id id)
{
	return id == OPTION_SCHEDULER || id == OPTION_MAX_WINDOW || id == OPTION_MAX_SESSIONS ||
	       (id >= OPTION_CLIENT_WAIT && id <= OPTION_RESET_WAIT);
}

void option_help(const struct draft *d, FILE *out)
{
	const char *group = NULL;

	for (enum option_id id = 0; id < OPTION_COUNT; id++) {
		if (rows[id].group)
			group = rows[id].group;
		if (!option_is_of(d->conf.module, id) ||
		    (d->conf.module == MODULE_PROXY && is_about_sessions(id)))
			continue;
		if (group)
			fprintf(out, "\n%s:\n", group);
		group = NULL;
		row_help(&rows[id], out);
		if (id != OPTION_SCHEDULER)
			continue;
		fprintf(out, "  %-22s one of:", "");
		for (const char *const *s = d->schedulers; *s; s++)
			fprintf(out, " %s", *s);
		fputc('\n', out);
	}
}
