/* The command line: see options.h. */
#include "mcast/relay/options.h"

#include "common/base/version.h"
#include "common/conf/option.h"
#include "common/conf/parse.h"
#include "mcast/common/board.h"
#include "mcast/relay/receive.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define SOCKET_DEFAULT "/run/multicast_relay.sock"
/* 150 ms of 3,000 packets of 1 KiB a second, as the kernel counts them. */
#define BUFFER_DEFAULT MIB
#define BUFFER_MIN (4 * KIB)
#define BUFFER_MAX (1024 * MIB)

static void print_help(void)
{
	puts("Usage: multicast_relay supervisor [options]\n"
	     "Republishes multicast streams into networks that routing cannot reach.\n\n"
	     "Options:\n"
	     "  -n, --num-workers=N       worker processes, each on a processor of its own\n"
	     "                            [as many as there are processors]\n"
	     "  -s, --control-socket=PATH where control_client finds it\n"
	     "                            [/run/multicast_relay.sock]\n"
	     "  -c, --config=FILE         the rules to begin with; SIGHUP reads it again\n"
	     "  -C, --check               read the file, say what is wrong with it, and exit\n"
	     "  -b, --receive-buffer=SIZE of each input [1M]\n"
	     "  -r, --rx=PATH             how packets come: udp (sockets), packet (rings of\n"
	     "                            packet sockets) or xdp (XDP sockets, where the\n"
	     "                            interface's driver can); the last two see what\n"
	     "                            reverse path filters drop [udp]\n"
	     "  -l, --log-level=LEVEL     error, warn, info or debug [info]\n"
	     "  -f, --log-format=FORMAT   text or json [text]\n"
	     "  -h, --help                show this, and exit\n"
	     "  -V, --version             show the version, and exit\n\n"
	     "Ends at SIGTERM or SIGINT, with the sums of all counters on standard output.");
}

static enum exit_code parse_buffer(const char *text, struct options *ret)
{
	uint64_t bytes;

	if (parse_size(text, BUFFER_MIN, BUFFER_MAX, &bytes) < 0)
		return fail_exit("--receive-buffer \"%s\": expected 4K to 1024M", text);
	ret->buffer_bytes = (uint32_t)bytes;
	return EXIT_DONE;
}

static enum exit_code parse_rx(const char *text, struct options *ret)
{
	ret->worker.rx = receive_find(text);
	return ret->worker.rx ? EXIT_DONE
			      : fail_exit("--rx \"%s\": expected udp, packet or xdp", text);
}

/* What the supervisor gives to its workers. */
static enum exit_code parse_worker_option(int c, struct worker_options *ret)
{
	uint64_t number = 0;
	enum exit_code code = EXIT_DONE;

	switch (c) {
	case 'w':
		code = option_count("channel", optarg, 0, INT32_MAX, &number);
		ret->channel = (int)number;
		break;
	case 'B':
		code = option_count("board", optarg, 0, INT32_MAX, &number);
		ret->board = (int)number;
		break;
	case 'i':
		code = option_count("index", optarg, 0, BOARD_WORKERS_MAX - 1, &number);
		ret->index = (uint32_t)number;
		break;
	case 'S':
		code = option_count("seat", optarg, 0, BOARD_WORKERS_MAX - 1, &number);
		ret->seat = (uint32_t)number;
		break;
	case 'R':
		ret->rendezvous = optarg;
		break;
	}
	return code;
}

static enum exit_code parse_option(int c, struct options *ret)
{
	uint64_t number = 0;
	enum exit_code code = EXIT_DONE;

	switch (c) {
	case 'n':
		/* Each may be replaced while its streams are moved: two seats for each. */
		code = option_count("num-workers", optarg, 1, BOARD_WORKERS_MAX / 2, &number);
		ret->worker_count = (uint32_t)number;
		break;
	case 's':
		ret->control_socket = optarg;
		break;
	case 'c':
		ret->config = optarg;
		break;
	case 'C':
		ret->is_check = true;
		break;
	case 'r':
		return parse_rx(optarg, ret);
	case 'b':
		return parse_buffer(optarg, ret);
	case 'l':
		if (log_level_parse(optarg, &ret->log_level) < 0)
			return fail_exit("--log-level \"%s\": expected error, warn, info or debug",
					 optarg);
		ret->log_texts[0] = optarg;
		break;
	case 'f':
		if (log_format_parse(optarg, &ret->log_format) < 0)
			return fail_exit("--log-format \"%s\": expected text or json", optarg);
		ret->log_texts[1] = optarg;
		break;
	default:
		return parse_worker_option(c, &ret->worker);
	}
	return code;
}

static enum exit_code parse_role(int argc, char **argv, struct options *ret)
{
	const char *role = optind < argc ? argv[optind] : NULL;

	if (!role)
		return fail_exit("expected \"supervisor\"; --help tells more");
	if (optind + 1 < argc)
		return fail_exit("argument \"%s\": expected options only", argv[optind + 1]);
	ret->is_worker = strcmp(role, "worker") == 0;
	if (!ret->is_worker && strcmp(role, "supervisor") != 0)
		return fail_exit("\"%s\": expected \"supervisor\"", role);
	if (ret->is_check && !ret->config)
		return fail_exit("--check: expected --config=FILE, too");
	return EXIT_DONE;
}

/* That this process may use. */
static uint32_t processors(void)
{
	uint32_t count;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	count = (uint32_t)CPU_COUNT(&set);
	return count > BOARD_WORKERS_MAX / 2 ? BOARD_WORKERS_MAX / 2 : count;
}

enum exit_code options_parse(int argc, char **argv, struct options *ret, bool *ret_is_over)
{
	static const struct option options[] = {
		{"num-workers", required_argument, NULL, 'n'},
		{"control-socket", required_argument, NULL, 's'},
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'C'},
		{"receive-buffer", required_argument, NULL, 'b'},
		{"log-level", required_argument, NULL, 'l'},
		{"log-format", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"channel", required_argument, NULL, 'w'},
		{"board", required_argument, NULL, 'B'},
		{"index", required_argument, NULL, 'i'},
		{"seat", required_argument, NULL, 'S'},
		{"rendezvous", required_argument, NULL, 'R'},
		{"rx", required_argument, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	enum exit_code code = EXIT_DONE;
	int c;

	*ret = (struct options){.worker_count = processors(),
				.control_socket = SOCKET_DEFAULT,
				.buffer_bytes = BUFFER_DEFAULT,
				.log_level = LOG_LEVEL_INFO,
				.log_texts = {"info", "text"},
				.worker = {.channel = -1, .board = -1, .rx = &receive_udp}};
	opterr = 0;
	while (code == EXIT_DONE &&
	       (c = getopt_long(argc, argv, "n:s:c:Cb:r:l:f:hV", options, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			if (c == 'h')
				print_help();
			else
				printf("multicast_relay %s\n", MPP_VERSION);
			*ret_is_over = true;
			return EXIT_DONE;
		}
		if (c == '?')
			return option_unknown(argv[optind - 1]);
		code = parse_option(c, ret);
	}
	return code == EXIT_DONE ? parse_role(argc, argv, ret) : code;
}
