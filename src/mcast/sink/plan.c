/* The command line: see plan.h. */
#include "mcast/sink/plan.h"

#include "common/base/version.h"
#include "common/conf/option.h"
#include "common/conf/parse.h"
#include "mcast/traffic/payload.h"

#include <getopt.h>
#include <stdio.h>

/* 1,800 packets of 1316 bytes, as the kernel counts them: 36 ms of 50,000 a second. */
#define RECEIVE_BUFFER_DEFAULT (4u * MIB)
#define RECEIVE_BUFFER_MIN (4u * KIB)
#define RECEIVE_BUFFER_MAX (1024u * MIB) /* the kernel doubles it, in an int */
/* With --expect: what does not come for so long is lost. */
#define IDLE_DEFAULT_MS 10000u

/* Options without a short name. */
enum { OPTION_RTP = 256, OPTION_PAYLOAD };

static void print_help(void)
{
	puts("Usage: traffic_sink --group=ADDR --port=N --interface=NAME [options]\n"
	     "Receives what traffic_generator sends, and accounts for every packet.\n\n"
	     "Options:\n"
	     "  -g, --group=ADDR          of the first stream, IPv4 or IPv6\n"
	     "  -p, --port=N              of the first stream\n"
	     "  -i, --interface=NAME      to join on\n"
	     "  -n, --streams=N           how many [1]\n"
	     "      --group-step=N        each stream's group is so much above the last one's [1]\n"
	     "      --port-step=N         and its port [1]\n"
	     "  -S, --source=ADDR         listen to this one only (source-specific multicast)\n"
	     "  -e, --expect=COUNT        packets of each stream; ends when they have come\n"
	     "  -I, --idle=TIME           end after so long without packets, as 500ms or 10s\n"
	     "                            [10s with --expect, else never]\n"
	     "  -d, --duration=TIME       end after this time\n"
	     "  -b, --receive-buffer=SIZE of each socket, with K or M [4M]\n"
	     "      --rtp                 packets begin with an RTP header\n"
	     "      --payload=FILE        packets hold the bytes of this file\n"
	     "  -t, --total               no lines of single streams\n"
	     "  -j, --json                report as one JSON object\n"
	     "  -q, --quiet               no report: the exit code tells\n"
	     "  -h, --help                show this, and exit\n"
	     "  -V, --version             show the version, and exit\n\n"
	     "Prints \"ready\" on standard error when all groups are joined, and reports at the "
	     "end,\n"
	     "or at SIGINT or SIGTERM.\n"
	     "Exit code 0: all that was expected came exactly once, 1: it did not, 2: it could "
	     "not\n"
	     "begin.");
}

static enum exit_code set_buffer(struct plan *plan)
{
	uint64_t bytes = 0;

	if (parse_size(optarg, RECEIVE_BUFFER_MIN, RECEIVE_BUFFER_MAX, &bytes))
		return fail_exit("--receive-buffer \"%s\": expected bytes from 4K to 1G", optarg);
	plan->receive_buffer_bytes = (uint32_t)bytes;
	return EXIT_DONE;
}

static enum exit_code set_option(int option, char **argv, struct plan *plan)
{
	switch (option) {
	case 'g':
	case 'p':
	case 'i':
	case 'n':
	case 'S':
	case STREAMS_GROUP_STEP:
	case STREAMS_PORT_STEP:
		return streams_option(&plan->streams, option, optarg);
	case 'e':
		return option_count("expect", optarg, 1, PAYLOAD_SEQUENCE_MAX, &plan->expect);
	case 'I':
		return option_time("idle", optarg, &plan->idle_ms);
	case 'd':
		return option_time("duration", optarg, &plan->duration_ms);
	case 'b':
		return set_buffer(plan);
	case OPTION_RTP:
		plan->is_rtp = true;
		break;
	case OPTION_PAYLOAD:
		plan->payload = optarg;
		break;
	case 't':
		plan->is_total = true;
		break;
	case 'j':
		plan->is_json = true;
		break;
	case 'q':
		plan->is_quiet = true;
		break;
	default:
		return option_unknown(argv[optind - 1]);
	}
	return EXIT_DONE;
}

enum exit_code plan_parse(int argc, char **argv, struct plan *ret, bool *ret_is_over)
{
	static const struct option options[] = {
		{"group", required_argument, NULL, 'g'},
		{"port", required_argument, NULL, 'p'},
		{"interface", required_argument, NULL, 'i'},
		{"streams", required_argument, NULL, 'n'},
		{"group-step", required_argument, NULL, STREAMS_GROUP_STEP},
		{"port-step", required_argument, NULL, STREAMS_PORT_STEP},
		{"source", required_argument, NULL, 'S'},
		{"expect", required_argument, NULL, 'e'},
		{"idle", required_argument, NULL, 'I'},
		{"duration", required_argument, NULL, 'd'},
		{"receive-buffer", required_argument, NULL, 'b'},
		{"rtp", no_argument, NULL, OPTION_RTP},
		{"payload", required_argument, NULL, OPTION_PAYLOAD},
		{"total", no_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct plan plan = {.receive_buffer_bytes = RECEIVE_BUFFER_DEFAULT};
	enum exit_code code = EXIT_DONE;
	int c;

	streams_init(&plan.streams);
	opterr = 0;
	while (code == EXIT_DONE &&
	       (c = getopt_long(argc, argv, "g:p:i:n:S:e:I:d:b:tjqhV", options, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			if (c == 'h')
				print_help();
			else
				printf("traffic_sink %s\n", MPP_VERSION);
			*ret_is_over = true;
			return EXIT_DONE;
		}
		code = set_option(c, argv, &plan);
	}
	if (code != EXIT_DONE)
		return code;
	if (optind < argc)
		return fail_exit("argument \"%s\": expected options only; --help tells more",
				 argv[optind]);
	if (plan.expect > 0 && plan.idle_ms == 0)
		plan.idle_ms = IDLE_DEFAULT_MS;
	code = streams_check(&plan.streams);
	*ret = plan;
	return code;
}
