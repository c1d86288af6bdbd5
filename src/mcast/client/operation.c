/* Operations and their arguments: see operation.h. */
#include "mcast/client/operation.h"

#include "common/base/fail.h"
#include "common/conf/parse.h"
#include "mcast/common/board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCH_MS_MIN 100u

struct operation {
	const char *name, *arguments, *help;
	enum operation_kind kind;
	/* Of what is behind the name; NULL: nothing may be. */
	int (*parse)(int argc, char *const *argv, struct command *ret, char *ret_why);
};

static int parse_edit(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	/* The operation's name is the edit's first word. */
	return edit_parse((size_t)argc + 1, argv - 1, &ret->edit, ret_why);
}

static int parse_list(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	if (argc > 0)
		return fail_why(ret_why,
				"list: \"%.64s\" is one too many, expected nothing behind it",
				argv[0]);
	ret->list = "rules";
	return 0;
}

static int parse_watch(const char *text, struct command *ret, char *ret_why)
{
	if (!text)
		return fail_why(ret_why, "--watch: no value, expected a TIME such as 1s or 500ms");
	if (parse_time(text, WATCH_MS_MIN, WAIT_CEILING_MS, &ret->watch_ms))
		return fail_why(ret_why, "--watch \"%.64s\": expected a time from %ums to 24 hours",
				text, WATCH_MS_MIN);
	return 0;
}

static int parse_stats(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	const char *name = NULL;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--watch=", 8) == 0) {
			if (parse_watch(argv[i] + 8, ret, ret_why))
				return -EINVAL;
		} else if (strcmp(argv[i], "--watch") == 0) {
			if (parse_watch(argv[++i], ret, ret_why))
				return -EINVAL;
		} else if (argv[i][0] == '-' || name) {
			return fail_why(ret_why, "stats: \"%.64s\", expected [NAME] [--watch=TIME]",
					argv[i]);
		} else {
			name = argv[i];
		}
	}
	ret->list = "streams";
	if (!name)
		return 0;
	ret->kind = OPERATION_ASK;
	ret->request = json_pack("{s:s, s:s}", "op", "stats", "name", name);
	return ret->request ? 0 : fail_why(ret_why, "stats: a name that is no text (UTF-8)");
}

static int parse_worker(const char *text, uint64_t *ret, char *ret_why)
{
	if (parse_u64(text, 0, BOARD_WORKERS_MAX - 1, ret))
		return fail_why(ret_why, "worker \"%.64s\": expected a number from 0 to %u", text,
				BOARD_WORKERS_MAX - 1);
	return 0;
}

static int parse_move(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	uint64_t worker;

	if (argc != 2)
		return fail_why(ret_why, "move: %d arguments, expected NAME WORKER", argc);
	if (parse_worker(argv[1], &worker, ret_why))
		return -EINVAL;
	ret->request = json_pack("{s:s, s:s, s:I}", "op", "move", "name", argv[0], "worker",
				 (json_int_t)worker);
	return ret->request ? 0 : fail_why(ret_why, "move: a name that is no text (UTF-8)");
}

static int parse_restart(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	uint64_t worker;

	if (argc != 1)
		return fail_why(ret_why, "restart-worker: %d arguments, expected WORKER", argc);
	if (parse_worker(argv[0], &worker, ret_why))
		return -EINVAL;
	ret->request =
		json_pack("{s:s, s:I}", "op", "restart-worker", "worker", (json_int_t)worker);
	return 0;
}

/* The relay works in another folder than who asks. */
static char *absolute(const char *file)
{
	char *folder = file[0] == '/' ? NULL : getcwd(NULL, 0);
	char *path = NULL;

	if (asprintf(&path, "%s%s%s", folder ? folder : "", folder ? "/" : "", file) < 0)
		abort();
	free(folder);
	return path;
}

static int parse_save(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	char *path;

	if (argc > 1)
		return fail_why(ret_why, "save: \"%.64s\" is one too many, expected [FILE]",
				argv[1]);
	if (argc == 1 && argv[0][0] == '\0')
		return fail_why(ret_why, "save: \"\", expected the name of a file");
	if (argc == 0) {
		ret->request = json_pack("{s:s}", "op", "save");
		return 0;
	}
	path = absolute(argv[0]);
	ret->request = json_pack("{s:s, s:s}", "op", "save", "file", path);
	free(path);
	return ret->request ? 0 : fail_why(ret_why, "save: a name that is no text (UTF-8)");
}

static int parse_batch(int argc, char *const *argv, struct command *ret, char *ret_why)
{
	if (argc != 1)
		return fail_why(ret_why, "batch: %d arguments, expected FILE or - (standard input)",
				argc);
	ret->file = argv[0];
	return 0;
}

static const struct operation operations[] = {
	{"add", " RULE", "relay a stream", OPERATION_EDIT, parse_edit},
	{"change", " RULE --name=NAME", "put another rule in the place of one", OPERATION_EDIT,
	 parse_edit},
	{"remove", " NAME | INPUT", "relay it no more", OPERATION_EDIT, parse_edit},
	{"list", "", "the rules, and what each does", OPERATION_ALL, parse_list},
	{"stats", " [NAME] [--watch=TIME]", "packets, rates and drops of each rule", OPERATION_ALL,
	 parse_stats},
	{"workers", "", "the workers and their load", OPERATION_ASK, NULL},
	{"move", " NAME WORKER", "give a stream to another worker", OPERATION_ASK, parse_move},
	{"restart-worker", " WORKER", "replace one worker, and lose nothing", OPERATION_ASK,
	 parse_restart},
	{"batch", " FILE", "add, change and remove by lines: all, or nothing", OPERATION_BATCH,
	 parse_batch},
	{"save", " [FILE]", "write the rules to a file", OPERATION_ASK, parse_save},
	{"reload", "", "do as the relay's file says now", OPERATION_ASK, NULL},
	{"ping", "", "is it there?", OPERATION_ASK, NULL},
	{"detach", "", "end the supervisor; the workers go on", OPERATION_ASK, NULL},
	{"shutdown", "", "end all of the relay", OPERATION_ASK, NULL},
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

static int parse_nothing(const struct operation *o, int argc, char *const *argv,
			 struct command *ret, char *ret_why)
{
	if (argc > 0)
		return fail_why(ret_why,
				"%s: \"%.64s\" is one too many, expected nothing behind it",
				o->name, argv[0]);
	ret->request = json_pack("{s:s}", "op", o->name);
	return 0;
}

int operation_parse(int argc, char *const *argv, struct command *ret, char ret_why[WHY_BYTES_MAX])
{
	struct command c = {0};
	int err;

	for (size_t i = 0; i < OPERATION_COUNT && !c.operation; i++)
		if (strcmp(operations[i].name, argv[0]) == 0)
			c.operation = &operations[i];
	if (!c.operation)
		return fail_why(ret_why,
				"operation \"%.64s\": expected add, change, remove, list, stats or "
				"another of those that --help lists",
				argv[0]);
	c.op = c.operation->name;
	c.kind = c.operation->kind;
	err = c.operation->parse ? c.operation->parse(argc - 1, argv + 1, &c, ret_why)
				 : parse_nothing(c.operation, argc - 1, argv + 1, &c, ret_why);
	if (err)
		operation_done(&c);
	else
		*ret = c;
	return err;
}

void operation_done(struct command *c)
{
	json_decref(c->request);
	edit_done(&c->edit);
	*c = (struct command){0};
}

void operation_help(FILE *out)
{
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s", operations[i].name, operations[i].arguments);
		fprintf(out, "  %-31s %s\n", left, operations[i].help);
	}
}
