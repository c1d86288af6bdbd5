/* Files of edits: see batch.h. */
#include "mcast/client/batch.h"

#include "common/io/table.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_PER_LINE_MAX 64  /* every option with its value, twice over */
#define COMPLAINTS_MAX 20      /* a screen of them is enough to begin with */
#define UNSENT_MAX (256 * KIB) /* more waits in the kernel's queue anyway */
/* Each rule removed and added again; and no end of memory for something that is no such file. */
#define STEPS_MAX (4 * RULES_MAX)

/* ---- complaints ---- */

/* "control_client: FILE:LINE: " on standard error, for COMPLAINTS_MAX lines; line 0: it is about
 * none of them. */
static bool begin_complaint(const struct batch *b, size_t line, size_t *count)
{
	if ((*count)++ >= COMPLAINTS_MAX)
		return false;
	fprintf(stderr, "%s: %s:", program_invocation_short_name, b->file);
	if (line > 0)
		fprintf(stderr, "%zu:", line);
	fputc(' ', stderr);
	return true;
}

static void end_complaints(const struct batch *b, size_t count, const char *what)
{
	if (count > COMPLAINTS_MAX)
		warnx("%s: %zu more lines are wrong", b->file, count - COMPLAINTS_MAX);
	if (count > 0)
		warnx("%s: %s", b->file, what);
}

/* ---- reading ---- */

/* Words end at blanks, the line at a word that begins with '#'. -E2BIG: too many. */
static int split(char *line, char *ret_words[WORDS_PER_LINE_MAX])
{
	char *rest = NULL;
	int count = 0;

	for (char *word = strtok_r(line, " \t\r\n", &rest); word && word[0] != '#';
	     word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (count == WORDS_PER_LINE_MAX)
			return -E2BIG;
		ret_words[count++] = word;
	}
	return count;
}

static struct batch_step *add_step(struct batch *b)
{
	if (b->count == b->room) {
		b->room = b->room ? 2 * b->room : 256;
		b->steps = realloc(b->steps, b->room * sizeof(*b->steps));
		if (!b->steps)
			abort();
	}
	return &b->steps[b->count++];
}

static int read_line(struct batch *b, size_t number, char *line, char why[WHY_BYTES_MAX])
{
	char *words[WORDS_PER_LINE_MAX];
	int count = split(line, words);
	struct edit edit;

	if (count == 0)
		return 0;
	if (count < 0)
		return fail_why(why, "expected at most %d words", WORDS_PER_LINE_MAX);
	if (b->count == STEPS_MAX)
		return fail_why(why, "expected at most %u commands", STEPS_MAX);
	if (edit_parse((size_t)count, words, &edit, why))
		return -EINVAL;
	*add_step(b) = (struct batch_step){.line = number, .edit = edit};
	return 0;
}

/* True: a line, or what is there of one that is too long, or has a NUL (`ret_is_bad` then). */
static bool next_line(FILE *in, char line[CONTROL_LINE_MAX], bool *ret_is_bad)
{
	size_t len = 0;
	int c = getc(in);

	*ret_is_bad = false;
	if (c == EOF)
		return false;
	for (; c != EOF && c != '\n'; c = getc(in)) {
		*ret_is_bad |= c == '\0' || len + 1 == CONTROL_LINE_MAX;
		if (!*ret_is_bad)
			line[len++] = (char)c;
		else if (len + 1 == CONTROL_LINE_MAX)
			break; /* whatever this is, it is not read to its end */
	}
	line[len] = '\0';
	return true;
}

static size_t read_lines(struct batch *b, FILE *in)
{
	static char line[CONTROL_LINE_MAX];
	char why[WHY_BYTES_MAX];
	size_t count = 0, number = 0;
	bool is_bad;

	while (count <= STEPS_MAX && next_line(in, line, &is_bad)) {
		number++;
		if (is_bad)
			fail_why(why, "expected text of less than %u bytes a line",
				 CONTROL_LINE_MAX);
		else if (read_line(b, number, line, why) == 0)
			continue;
		if (begin_complaint(b, number, &count))
			fprintf(stderr, "%s\n", why);
		if (is_bad)
			break;
	}
	return count;
}

enum exit_code batch_read(struct batch *b, const char *file)
{
	bool is_stdin = strcmp(file, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	size_t complaints;
	int err;

	*b = (struct batch){.file = is_stdin ? "standard input" : file};
	if (!in)
		return fail_exit("%s: %s", file, strerror(errno));
	errno = 0;
	complaints = read_lines(b, in);
	err = ferror(in) ? errno : 0;
	if (!is_stdin)
		fclose(in);
	end_complaints(b, complaints, "nothing was sent");
	if (err)
		return fail_exit("%s: cannot be read: %s", b->file, strerror(err));
	return complaints ? EXIT_FAILED : EXIT_DONE;
}

void batch_done(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		edit_done(&b->steps[i].edit);
	free(b->steps);
	*b = (struct batch){0};
}

/* ---- sending ---- */

struct sending {
	const struct batch *batch;
	struct relay *relay;
	const char *path;
	json_t *names;	 /* edit_names, when a step is to be found by its input */
	json_t *number;	 /* of the batch at the relay */
	json_t *refusal; /* the first */
	size_t refused_count;
};

static bool is_ok(const json_t *reply)
{
	return json_is_true(json_object_get(reply, "ok"));
}

static enum exit_code lost(const struct sending *s, const char *why, const char *what)
{
	return fail_exit("%s: %s; %s", s->path, why, what);
}

/* The reply to one operation beside the steps; NULL: said why, and `*ret_code` tells how bad. */
static json_t *ask(struct sending *s, json_t *request_take, const char *when_lost,
		   enum exit_code *ret_code)
{
	char why[WHY_BYTES_MAX];
	json_t *reply = NULL;
	int err = relay_ask(s->relay, request_take, &reply, why);

	json_decref(request_take);
	*ret_code = err ? lost(s, why, when_lost) : EXIT_DONE;
	return reply;
}

static enum exit_code fetch_names(struct sending *s)
{
	char why[WHY_BYTES_MAX];
	json_t *reply = NULL;
	bool is_wanted = false;

	for (size_t i = 0; i < s->batch->count; i++)
		is_wanted |= s->batch->steps[i].edit.is_by_input;
	if (!is_wanted)
		return EXIT_DONE;
	if (relay_ask_all(s->relay, "list", "rules", &reply, why))
		return lost(s, why, "nothing was applied");
	s->names = edit_names(json_object_get(reply, "rules"));
	json_decref(reply);
	return EXIT_DONE;
}

static void keep_refusal(struct sending *s, json_t *reply, size_t line)
{
	if (!s->refusal)
		s->refusal = json_incref(reply);
	if (!begin_complaint(s->batch, line, &s->refused_count))
		return;
	refusal_print(stderr, reply);
	fputc('\n', stderr);
}

static enum exit_code begin(struct sending *s)
{
	enum exit_code code = fetch_names(s);
	json_t *reply;

	if (code != EXIT_DONE)
		return code;
	reply = ask(s, json_pack("{s:s}", "op", "batch"), "nothing was applied", &code);
	s->number = json_incref(json_object_get(reply, "batch"));
	if (reply && !is_ok(reply)) {
		keep_refusal(s, reply, 0);
		code = EXIT_REFUSED;
	}
	json_decref(reply);
	return code;
}

/* Fills the pipe up; 0, or a negative errno. */
static int push_steps(struct sending *s, size_t *pushed, char why[WHY_BYTES_MAX])
{
	int err = 0;

	while (*pushed < s->batch->count && !err && asker_unsent(&s->relay->asker) < UNSENT_MAX) {
		json_t *request = edit_request(&s->batch->steps[*pushed].edit, s->names);

		json_object_set(request, "batch", s->number);
		err = relay_push(s->relay, request, why);
		json_decref(request);
		++*pushed;
	}
	return err;
}

/* After the first refusal no more steps are sent, but the replies to those that were are taken. */
static enum exit_code send_steps(struct sending *s)
{
	size_t pushed = 0;

	for (size_t taken = 0; taken < s->batch->count; taken++) {
		char why[WHY_BYTES_MAX];
		json_t *reply;
		int err = s->refusal ? 0 : push_steps(s, &pushed, why);

		if (!err && taken == pushed)
			return EXIT_REFUSED;
		if (!err)
			err = relay_next(s->relay, &reply, why);
		if (err)
			return lost(s, why, "nothing was applied");
		if (!is_ok(reply))
			keep_refusal(s, reply, s->batch->steps[taken].line);
		json_decref(reply);
	}
	return s->refusal ? EXIT_REFUSED : EXIT_DONE;
}

/* Which line a refused commit is about: the last one whose rule it names, in quotes (rule names
 * have none). 0: it names none. */
static size_t line_of(const struct batch *b, const json_t *reply)
{
	const char *text = json_string_value(json_object_get(reply, "error"));
	const char *from = text ? strchr(text, '"') : NULL;
	const char *end = from ? strchr(from + 1, '"') : NULL;

	for (size_t i = end ? b->count : 0; i-- > 0;) {
		const char *name = b->steps[i].edit.rule.name;
		size_t len = (size_t)(end - from) - 1;

		if (strlen(name) == len && memcmp(name, from + 1, len) == 0)
			return b->steps[i].line;
	}
	return 0;
}

static enum exit_code commit(struct sending *s, json_t **ret_reply)
{
	enum exit_code code;
	json_t *reply = ask(s, json_pack("{s:s, s:O}", "op", "commit", "batch", s->number),
			    "whether it was applied is not known", &code);

	if (reply && !is_ok(reply)) {
		keep_refusal(s, reply, line_of(s->batch, reply));
		json_decref(reply);
		return EXIT_REFUSED;
	}
	if (reply)
		*ret_reply = reply;
	return code;
}

static enum exit_code run(struct sending *s, json_t **ret_reply)
{
	enum exit_code code = begin(s);
	json_t *aborted;

	if (code != EXIT_DONE)
		return code;
	code = send_steps(s);
	if (code == EXIT_REFUSED) {
		enum exit_code unused;

		aborted = ask(s, json_pack("{s:s, s:O}", "op", "abort", "batch", s->number),
			      "nothing was applied", &unused);
		json_decref(aborted);
	}
	return code == EXIT_DONE ? commit(s, ret_reply) : code;
}

enum exit_code batch_send(const struct batch *b, struct relay *r, const char *path,
			  json_t **ret_reply)
{
	struct sending s = {.batch = b, .relay = r, .path = path};
	enum exit_code code = run(&s, ret_reply);

	end_complaints(b, s.refused_count, "nothing was applied");
	if (code == EXIT_REFUSED)
		*ret_reply = json_incref(s.refusal);
	json_decref(s.refusal);
	json_decref(s.names);
	json_decref(s.number);
	return code;
}
