/* control_client: asks one thing of a multicast_relay and says what came of it. Exit code 0: done;
 * 1: the relay said no; 2: wrong usage, or the relay could not be reached. */
#include "common/base/fail.h"
#include "common/base/version.h"
#include "common/conf/option.h"
#include "common/conf/parse.h"
#include "common/io/table.h"
#include "mcast/client/batch.h"
#include "mcast/client/operation.h"
#include "mcast/client/print.h"
#include "mcast/client/relay.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_DEFAULT "/run/multicast_relay.sock"

struct options {
	const char *path;
	bool is_json, is_over; /* --help or --version was all */
	uint32_t timeout_ms;
	struct command command;
};

static enum exit_code print_help(void)
{
	printf("Usage: control_client [options] OPERATION [arguments]\n"
	       "Commands a multicast_relay through its control socket.\n\n"
	       "Operations:\n");
	operation_help(stdout);
	printf("\nA RULE is made of these, --input-... and --outputs at least; an INPUT of the "
	       "first four:\n");
	edit_help(stdout);
	printf("\nOf stats:\n"
	       "      --watch=TIME                again and again, such as every 1s or 500ms\n"
	       "\nA FILE of batch has one \"add ...\", \"change ...\" or \"remove ...\" a line, "
	       "and "
	       "# begins a\ncomment; - is standard input.\n"
	       "\nOptions:\n"
	       "  -c, --control-socket=PATH       of the relay [%s]\n"
	       "  -j, --json                      print the relay's reply as it is\n"
	       "  -t, --timeout=TIME              give up when a reply takes so long [%us]\n"
	       "  -h, --help                      show this, and exit\n"
	       "  -V, --version                   show the version, and exit\n\n"
	       "Exit code 0: done; 1: the relay said no; 2: wrong usage, or not reachable.\n",
	       SOCKET_DEFAULT, CONTROLLER_WAIT_MS / 1000);
	return EXIT_DONE;
}

static enum exit_code parse_operation(int argc, char **argv, struct options *ret)
{
	char why[WHY_BYTES_MAX];

	if (argc < 1)
		return fail_exit("no operation, expected one of those that --help lists");
	if (operation_parse(argc, argv, &ret->command, why))
		return fail_exit("%s", why);
	return EXIT_DONE;
}

static enum exit_code parse(int argc, char **argv, struct options *ret)
{
	static const struct option options[] = {
		{"control-socket", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	uint64_t timeout_ms = CONTROLLER_WAIT_MS;
	int c;

	opterr = 0;
	/* "+": what stands behind the operation is the operation's. */
	while ((c = getopt_long(argc, argv, "+c:jt:hV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret->path = optarg;
			break;
		case 'j':
			ret->is_json = true;
			break;
		case 't':
			if (parse_time(optarg, 1, WAIT_CEILING_MS, &timeout_ms))
				return fail_exit(
					"--timeout \"%s\": expected a time from 1ms to 24 hours, "
					"such as 15s",
					optarg);
			break;
		case 'h':
			ret->is_over = true;
			return print_help();
		case 'V':
			ret->is_over = true;
			printf("control_client %s\n", MPP_VERSION);
			return EXIT_DONE;
		default:
			return option_unknown(argv[optind - 1]);
		}
	}
	ret->timeout_ms = (uint32_t)timeout_ms;
	return parse_operation(argc - optind, argv + optind, ret);
}

/* ---- asking ---- */

static bool is_ok(const json_t *reply)
{
	return json_is_true(json_object_get(reply, "ok"));
}

/* What is removed by its input is looked for first; a refusal of that is the answer to all. */
static int ask_edit(const struct edit *e, struct relay *r, json_t **ret_reply, char *why)
{
	json_t *rules = NULL, *names, *request;
	int err = e->is_by_input ? relay_ask_all(r, "list", "rules", &rules, why) : 0;

	if (err)
		return err;
	if (rules && !is_ok(rules)) {
		*ret_reply = rules;
		return 0;
	}
	names = edit_names(json_object_get(rules, "rules"));
	request = edit_request(e, names);
	err = relay_ask(r, request, ret_reply, why);
	json_decref(request);
	json_decref(names);
	json_decref(rules);
	return err;
}

/* A reply, or NULL: then why not was said, and `ret_code` is left. */
static json_t *ask(const struct options *o, struct relay *r, const struct batch *b,
		   enum exit_code *ret_code)
{
	const struct command *c = &o->command;
	char why[WHY_BYTES_MAX];
	json_t *reply = NULL;
	int err = 0;

	switch (c->kind) {
	case OPERATION_ASK:
		err = relay_ask(r, c->request, &reply, why);
		break;
	case OPERATION_EDIT:
		err = ask_edit(&c->edit, r, &reply, why);
		break;
	case OPERATION_ALL:
		err = relay_ask_all(r, c->op, c->list, &reply, why);
		break;
	case OPERATION_BATCH:
		*ret_code = batch_send(b, r, o->path, &reply);
		return reply;
	}
	*ret_code = err ? fail_exit("%s: %s", o->path, why) : EXIT_DONE;
	return reply;
}

/* Lines at fault in a batch were said already. */
static enum exit_code show_reply(const struct options *o, const json_t *reply)
{
	const struct command *c = &o->command;

	if (o->is_json) {
		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (is_ok(reply)) {
		print_reply(stdout, c->op, reply);
	} else if (c->kind != OPERATION_BATCH) {
		fprintf(stderr, "%s: %s: ", program_invocation_short_name, c->op);
		refusal_print(stderr, reply);
		fputc('\n', stderr);
	}
	return is_ok(reply) ? EXIT_DONE : EXIT_REFUSED;
}

static enum exit_code run_once(const struct options *o, const struct batch *b)
{
	enum exit_code code = EXIT_FAILED;
	char why[WHY_BYTES_MAX];
	struct relay r;
	json_t *reply;

	if (relay_open(&r, o->path, o->timeout_ms, why))
		return fail_exit("%s: %s", o->path, why);
	reply = ask(o, &r, b, &code);
	if (reply)
		code = show_reply(o, reply);
	json_decref(reply);
	relay_close(&r);
	if (fflush(stdout))
		return fail_exit("cannot write to standard output");
	return code;
}

/* Until it is refused or interrupted. A new connection each time: it may rest only so long. */
static enum exit_code watch(const struct options *o)
{
	const uint64_t ms = o->command.watch_ms;
	const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000 * 1000000)};
	bool is_screen = isatty(STDOUT_FILENO) && !o->is_json;
	enum exit_code code;

	for (;;) {
		if (is_screen)
			fputs("\033[H\033[2J", stdout);
		code = run_once(o, NULL);
		if (code != EXIT_DONE)
			return code;
		nanosleep(&pause, NULL);
		if (!is_screen && !o->is_json)
			putchar('\n');
	}
}

static enum exit_code run(const struct options *o)
{
	struct batch b = {0};
	enum exit_code code = EXIT_DONE;

	if (o->command.watch_ms)
		return watch(o);
	if (o->command.kind == OPERATION_BATCH)
		code = batch_read(&b, o->command.file);
	if (code == EXIT_DONE)
		code = run_once(o, &b);
	batch_done(&b);
	return code;
}

int main(int argc, char **argv)
{
	struct options o = {.path = SOCKET_DEFAULT};
	enum exit_code code = parse(argc, argv, &o);

	if (code != EXIT_DONE || o.is_over)
		return code;
	code = run(&o);
	operation_done(&o.command);
	return code;
}
