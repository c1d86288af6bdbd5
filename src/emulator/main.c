/* link_emulator: joins pairs of interfaces and does to their packets what networks do. Options,
 * the commands of the start, signals; exit code 0: ended when told to, 2: could not begin or go on.
 */
#include "common/base/fail.h"
#include "common/base/log.h"
#include "common/base/version.h"
#include "common/conf/conf.h"
#include "common/conf/option.h"
#include "emulator/control.h"
#include "emulator/execute.h"
#include "emulator/report.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* A line of the start, or a file of them. */
struct source {
	const char *text;
	bool is_file;
};

struct options {
	struct source *sources; /* in their order on the command line */
	size_t source_count;
	const char *control_path; /* NULL: none */
	uint64_t seed;
	bool has_stdin, is_ordinary; /* scheduled like any other process */
};

struct ending {
	struct watch watch;
	struct emulator *emulator;
	int fd;
};

static void print_help(void)
{
	puts("Usage: link_emulator [options]\n"
	     "Joins pairs of interfaces and gives each direction a rate, delay, loss and more.\n\n"
	     "Options:\n"
	     "  -e, --command=LINE   a command for the start; may be repeated\n"
	     "  -f, --file=FILE      a file of such lines; may be repeated\n"
	     "  -c, --control=PATH   take commands at this Unix socket while running\n"
	     "  -i, --stdin          take commands from standard input, until its end\n"
	     "  -s, --seed=N         of losses and jitter, so that they repeat [random]\n"
	     "      --ordinary       no real-time priority\n"
	     "  -h, --help           show this, and exit\n"
	     "  -V, --version        show the version, and exit\n\n"
	     "Commands, one a line, each answered by a line \"ok ...\" or \"error: ...\":\n"
	     "  link NAME [tun:]INTERFACE[@NAMESPACE] [tun:]INTERFACE[@NAMESPACE]\n"
	     "  set LINK [a>b|b>a|both] KEY VALUE...\n"
	     "      rate 50mbit, delay 10ms, jitter 1ms, loss 1%, burst 0.1%:5, reorder 1%:5ms,\n"
	     "      duplicate 1%, limit 64kb or 100p; none for each\n"
	     "  blackhole LINK [a>b|b>a|both] on|off\n"
	     "  down LINK on|off\n"
	     "  stats [LINK]\n"
	     "  quit");
}

/* EXIT_DONE with `ret_is_over`: --help or --version was all. */
static enum exit_code parse(int argc, char **argv, struct options *ret, bool *ret_is_over)
{
	static const struct option options[] = {
		{"command", required_argument, NULL, 'e'},
		{"file", required_argument, NULL, 'f'},
		{"control", required_argument, NULL, 'c'},
		{"stdin", no_argument, NULL, 'i'},
		{"seed", required_argument, NULL, 's'},
		{"ordinary", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "e:f:c:is:hV", options, NULL)) != -1) {
		switch (c) {
		case 'e':
		case 'f':
			ret->sources[ret->source_count++] = (struct source){optarg, c == 'f'};
			break;
		case 'c':
			ret->control_path = optarg;
			break;
		case 'i':
			ret->has_stdin = true;
			break;
		case 's':
			if (parse_u64(optarg, 0, UINT64_MAX, &ret->seed))
				return fail_exit("--seed \"%s\": expected a whole number", optarg);
			break;
		case 'o':
			ret->is_ordinary = true;
			break;
		case 'h':
			print_help();
			*ret_is_over = true;
			return EXIT_DONE;
		case 'V':
			printf("link_emulator %s\n", MPP_VERSION);
			*ret_is_over = true;
			return EXIT_DONE;
		default:
			return option_unknown(argv[optind - 1]);
		}
	}
	if (optind < argc)
		return fail_exit("argument \"%s\": expected options only; a link is made by "
				 "--command=\"link NAME INTERFACE INTERFACE\"",
				 argv[optind]);
	if (ret->source_count == 0 && !ret->control_path && !ret->has_stdin)
		return fail_exit(
			"no options: expected --command, --file, --control or --stdin; --help "
			"tells more");
	return EXIT_DONE;
}

/* A command of the start. What it says when it went well goes to standard output. */
static enum exit_code begin_line(struct emulator *e, const char *where, const char *line)
{
	char *reply = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&reply, &len);
	enum exit_code code = EXIT_DONE;

	if (!out)
		return fail_exit("%s", strerror(errno));
	if (execute(e, line, out)) {
		fclose(out);
		reply[strcspn(reply, "\n")] = '\0';
		code = fail_exit("%s: %s", where, reply);
	} else {
		fclose(out);
		if (strcmp(reply, "ok\n") != 0)
			fputs(reply, stdout);
	}
	free(reply);
	return code;
}

static enum exit_code begin_file(struct emulator *e, const char *path)
{
	FILE *file = fopen(path, "re");
	enum exit_code code = EXIT_DONE;
	char *line = NULL, where[512];
	size_t room = 0;
	unsigned number = 0;

	if (!file)
		return fail_exit("--file \"%s\": %s", path, strerror(errno));
	while (code == EXIT_DONE && getline(&line, &room, file) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		snprintf(where, sizeof(where), "%.400s:%u", path, ++number);
		if (strlen(line) < COMMAND_BYTES_MAX)
			code = begin_line(e, where, line);
		else
			code = fail_exit("%s: longer than %u bytes", where, COMMAND_BYTES_MAX - 1);
	}
	if (code == EXIT_DONE && !feof(file))
		code = fail_exit("--file \"%s\": %s", path, strerror(errno));
	free(line);
	fclose(file);
	return code;
}

static enum exit_code begin(struct emulator *e, const struct options *o)
{
	enum exit_code code = EXIT_DONE;

	for (size_t i = 0; i < o->source_count && code == EXIT_DONE; i++) {
		const struct source *s = &o->sources[i];

		code = s->is_file ? begin_file(e, s->text) : begin_line(e, "--command", s->text);
	}
	return code;
}

/* Timers fire when they are due, and we run when they fire: a link is no program that waits for
 * its turn. Without the right to that, delays are as good as the machine is idle. */
static void hurry(const struct options *o)
{
	struct sched_param lowest = {.sched_priority = 1};

	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	if (!o->is_ordinary && sched_setscheduler(0, SCHED_FIFO, &lowest) < 0)
		log_warn("no real-time priority (%s): delays are less exact under load",
			 strerror(errno));
}

static void on_signal(struct watch *w)
{
	container_of(w, struct ending, watch)->emulator->is_ending = true;
}

static int watch_signals(struct ending *ending, struct emulator *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*ending = (struct ending){{on_signal}, e, signalfd(-1, &set, SFD_CLOEXEC)};
	return ending->fd < 0 ? -errno : emulator_watch(e, ending->fd, &ending->watch);
}

static enum exit_code open_control(struct control *c, const struct options *o)
{
	int err = o->control_path ? control_listen(c, o->control_path) : 0;

	if (err)
		return fail_exit("--control \"%s\": %s", o->control_path, strerror(-err));
	err = o->has_stdin ? control_stdin(c) : 0;
	if (err)
		return fail_exit("--stdin: expected a pipe, a socket or a terminal: %s",
				 strerror(-err));
	return EXIT_DONE;
}

static enum exit_code run(struct emulator *e, const struct options *o)
{
	struct ending ending;
	struct control control;
	enum exit_code code;
	bool has_begun;
	int err = watch_signals(&ending, e);

	if (err)
		return fail_exit("signals: %s", strerror(-err));
	control_init(&control, e);
	code = open_control(&control, o);
	if (code == EXIT_DONE)
		code = begin(e, o);
	has_begun = code == EXIT_DONE;
	if (has_begun) {
		hurry(o);
		puts("ready");
		fflush(stdout);
		err = emulator_run(e);
		if (err)
			code = fail_exit("epoll: %s", strerror(-err));
	}
	control_done(&control);
	if (has_begun)
		report(e, NULL, stdout);
	close(ending.fd);
	return code;
}

int main(int argc, char **argv)
{
	struct options options = {.sources = calloc((size_t)argc, sizeof(struct source))};
	struct emulator emulator;
	bool is_over = false;
	enum exit_code code;
	int err;

	log_init("link_emulator", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	random_bytes(&options.seed, sizeof(options.seed));
	if (!options.sources)
		return fail_exit("%s", strerror(ENOMEM));
	code = parse(argc, argv, &options, &is_over);
	if (code == EXIT_DONE && !is_over) {
		err = emulator_init(&emulator, options.seed);
		code = err ? fail_exit("%s", strerror(-err)) : run(&emulator, &options);
		emulator_done(&emulator);
	}
	free(options.sources);
	return code;
}
