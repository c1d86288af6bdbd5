/* The command line: see options.h. */
#include "echo/server/options.h"

#include "common/base/version.h"
#include "common/conf/option.h"
#include "echo/server/model.h"
#include "echo/server/supervisor.h"

#include <getopt.h>
#include <stdio.h>

#define HOST_DEFAULT "127.0.0.1"
/* The echo service's own is 7, which only root may have. */
#define PORT_DEFAULT 7007
/* A burst of connections between two turns of a worker; the kernel cuts it to
 * net.core.somaxconn. */
#define BACKLOG_DEFAULT 4096
/* Above what somaxconn is set to anywhere; an int for listen(2). */
#define BACKLOG_MAX 1000000
/* A day: who wants less often needs no interval. */
#define REPORT_S_MAX 86400

static void print_help(void)
{
	puts("Usage: echo_server --model=NAME [options]\n"
	     "Sends back what TCP clients send.\n\n"
	     "Options:\n"
	     "  -m, --model=NAME      how connections are served:\n"
	     "                        thread  a thread for each, with a small stack\n"
	     "                        fork    a process for each\n"
	     "                        event   all in one loop of libuv\n"
	     "                        uring   all in one io_uring\n"
	     "  -l, --listen=ADDRESS  IPv4 or IPv6, name or number [127.0.0.1]\n"
	     "  -p, --port=N          0: a free one [7007]\n"
	     "  -w, --workers=N       exactly so many worker processes [one for each processor,\n"
	     "                        and further ones when those have no room]\n"
	     "  -b, --backlog=N       connections that may wait to be accepted [4096]\n"
	     "  -j, --json            lines of JSON on standard output\n"
	     "  -r, --report=SECONDS  print the counters so often [never]\n"
	     "  -h, --help            show this, and exit\n"
	     "  -V, --version         show the version, and exit\n\n"
	     "Prints \"ready ADDRESS:PORT\" when clients can come, and the counters at SIGUSR1 "
	     "and\n"
	     "at the end (SIGTERM, SIGINT).");
}

static enum exit_code parse_model(const char *name, struct options *ret)
{
	char names[MODEL_NAMES_MAX];

	ret->model = model_find(name);
	if (ret->model)
		return EXIT_DONE;
	model_names(names);
	return fail_exit("--model \"%s\": expected %s", name, names);
}

/* One option with its value; `c` is its short name. */
static enum exit_code parse_option(int c, struct options *ret)
{
	uint64_t number = 0;
	enum exit_code code = EXIT_DONE;

	switch (c) {
	case 'm':
		return parse_model(optarg, ret);
	case 'l':
		ret->host = optarg;
		break;
	case 'p':
		code = option_count("port", optarg, 0, UINT16_MAX, &number);
		ret->port = (uint16_t)number;
		break;
	case 'w':
		code = option_count("workers", optarg, 1, WORKERS_LIMIT, &number);
		ret->workers = (unsigned)number;
		break;
	case 'b':
		code = option_count("backlog", optarg, 1, BACKLOG_MAX, &number);
		ret->backlog = (int)number;
		break;
	case 'j':
		ret->is_json = true;
		break;
	case 'r':
		code = option_count("report", optarg, 1, REPORT_S_MAX, &number);
		ret->report_s = (unsigned)number;
		break;
	}
	return code;
}

static enum exit_code check_whole(int argc, char **argv, const struct options *o)
{
	char names[MODEL_NAMES_MAX];

	if (optind < argc)
		return fail_exit("argument \"%s\": expected options only; --help tells more",
				 argv[optind]);
	if (o->model)
		return EXIT_DONE;
	model_names(names);
	return fail_exit("--model is missing: expected %s", names);
}

enum exit_code options_parse(int argc, char **argv, struct options *ret, bool *ret_is_over)
{
	static const struct option options[] = {
		{"model", required_argument, NULL, 'm'},
		{"listen", required_argument, NULL, 'l'},
		{"port", required_argument, NULL, 'p'},
		{"workers", required_argument, NULL, 'w'},
		{"backlog", required_argument, NULL, 'b'},
		{"json", no_argument, NULL, 'j'},
		{"report", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	enum exit_code code = EXIT_DONE;
	int c;

	*ret = (struct options){.host = HOST_DEFAULT,
				.port = PORT_DEFAULT,
				.backlog = BACKLOG_DEFAULT};
	opterr = 0;
	while (code == EXIT_DONE &&
	       (c = getopt_long(argc, argv, "m:l:p:w:b:jr:hV", options, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			if (c == 'h')
				print_help();
			else
				printf("echo_server %s\n", MPP_VERSION);
			*ret_is_over = true;
			return EXIT_DONE;
		}
		if (c == '?')
			return option_unknown(argv[optind - 1]);
		code = parse_option(c, ret);
	}
	return code == EXIT_DONE ? check_whole(argc, argv, ret) : code;
}
