/* The command line: see plan.h. */
#include "mcast/generator/plan.h"

#include "common/base/version.h"
#include "common/conf/option.h"
#include "common/conf/parse.h"
#include "mcast/generator/pace.h"
#include "mcast/traffic/payload.h"

#include <getopt.h>
#include <stdio.h>

#define RATE_DEFAULT_PPS 1000u
#define SIZE_DEFAULT 1316u /* seven packets of an MPEG transport stream, as IPTV sends them */
#define TTL_DEFAULT 1u	   /* stays on the link: the kernel's own */

/* Options without a short name. */
enum { OPTION_GSO = 256, OPTION_SPREAD, OPTION_TOGETHER, OPTION_SPIN, OPTION_RTP, OPTION_PAYLOAD };

static void print_help(void)
{
	puts("Usage: traffic_generator --group=ADDR --port=N --interface=NAME [options]\n"
	     "Sends multicast streams of numbered, stamped packets, for traffic_sink.\n\n"
	     "Options:\n"
	     "  -g, --group=ADDR      of the first stream, IPv4 or IPv6\n"
	     "  -p, --port=N          of the first stream\n"
	     "  -i, --interface=NAME  to send on\n"
	     "  -n, --streams=N       how many [1]\n"
	     "      --group-step=N    each stream's group is so much above the last one's [1]\n"
	     "      --port-step=N     and its port [1]\n"
	     "  -r, --rate=PPS        packets a second of each stream [1000]\n"
	     "  -s, --size=BYTES      payload of a packet, 32 (44 with --rtp) to 65507 [1316]\n"
	     "  -c, --count=N         end after so many packets of each stream\n"
	     "  -d, --duration=TIME   end after this time, as 500ms or 10s\n"
	     "  -b, --burst=N         each stream sends so many at once, at the same rate [1]\n"
	     "      --gso             a burst is one send, cut by the kernel or the card\n"
	     "      --spread          streams take turns evenly [so it is]\n"
	     "      --together        all streams send at the same moments\n"
	     "      --spin            do not sleep just before a packet is due: exact, and costs\n"
	     "                        up to a whole processor\n"
	     "  -t, --ttl=N           routers to pass, and one [1]\n"
	     "  -S, --source=ADDR     of this host, to send from [the kernel's choice]\n"
	     "      --rtp             an RTP header in front\n"
	     "      --payload=FILE    its bytes stand in every packet, as many as fit\n"
	     "  -j, --json            report as one JSON object\n"
	     "  -q, --quiet           no report\n"
	     "  -h, --help            show this, and exit\n"
	     "  -V, --version         show the version, and exit\n\n"
	     "Reports at the end, or at SIGINT or SIGTERM.\n"
	     "Exit code 0: all was sent, 1: some could not be, 2: it could not begin.");
}

static enum exit_code set_size(struct plan *plan)
{
	uint64_t bytes = 0;

	if (parse_size(optarg, STAMP_BYTES, PAYLOAD_MAX, &bytes))
		return fail_exit("--size \"%s\": expected bytes from %u to %u", optarg, STAMP_BYTES,
				 PAYLOAD_MAX);
	plan->size_bytes = (uint32_t)bytes;
	return EXIT_DONE;
}

static enum exit_code set_number(struct plan *plan, int option)
{
	uint64_t value = 0;
	enum exit_code code;

	switch (option) {
	case 'r':
		return option_count("rate", optarg, 1, PACE_RATE_MAX, &plan->rate_pps);
	case 'c':
		return option_count("count", optarg, 1, PAYLOAD_SEQUENCE_MAX, &plan->count);
	case 't':
		code = option_count("ttl", optarg, 1, UINT8_MAX, &value);
		plan->ttl = (uint8_t)value;
		return code;
	default:
		code = option_count("burst", optarg, 1, PLAN_BURST_MAX, &value);
		plan->burst = (uint32_t)value;
		return code;
	}
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
	case 'r':
	case 'c':
	case 't':
	case 'b':
		return set_number(plan, option);
	case 's':
		return set_size(plan);
	case 'd':
		return option_time("duration", optarg, &plan->duration_ms);
	case OPTION_GSO:
		plan->is_gso = true;
		break;
	case OPTION_SPREAD:
	case OPTION_TOGETHER:
		plan->is_together = option == OPTION_TOGETHER;
		break;
	case OPTION_SPIN:
		plan->is_spinning = true;
		break;
	case OPTION_RTP:
		plan->is_rtp = true;
		break;
	case OPTION_PAYLOAD:
		plan->payload = optarg;
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

static enum exit_code check(struct plan *plan)
{
	uint32_t least = payload_head_bytes(plan->is_rtp);

	if (plan->size_bytes < least)
		return fail_exit("--size %u: expected at least %u bytes with --rtp",
				 plan->size_bytes, least);
	if (plan->count > 0 && plan->duration_ms > 0)
		return fail_exit("--duration: expected it or --count, not both");
	if (plan->is_gso && (plan->burst < 2 || plan->burst > PLAN_SEGMENTS_MAX))
		return fail_exit("--burst %u: expected 2 to %u with --gso", plan->burst,
				 PLAN_SEGMENTS_MAX);
	if (plan->is_gso && plan->burst * plan->size_bytes > PAYLOAD_MAX)
		return fail_exit("--burst %u: with --gso, expected at most %u bytes in all, not "
				 "%u of %u",
				 plan->burst, PAYLOAD_MAX, plan->burst, plan->size_bytes);
	return streams_check(&plan->streams);
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
		{"rate", required_argument, NULL, 'r'},
		{"size", required_argument, NULL, 's'},
		{"count", required_argument, NULL, 'c'},
		{"duration", required_argument, NULL, 'd'},
		{"burst", required_argument, NULL, 'b'},
		{"gso", no_argument, NULL, OPTION_GSO},
		{"spread", no_argument, NULL, OPTION_SPREAD},
		{"together", no_argument, NULL, OPTION_TOGETHER},
		{"spin", no_argument, NULL, OPTION_SPIN},
		{"ttl", required_argument, NULL, 't'},
		{"source", required_argument, NULL, 'S'},
		{"rtp", no_argument, NULL, OPTION_RTP},
		{"payload", required_argument, NULL, OPTION_PAYLOAD},
		{"json", no_argument, NULL, 'j'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct plan plan = {.rate_pps = RATE_DEFAULT_PPS,
			    .size_bytes = SIZE_DEFAULT,
			    .burst = 1,
			    .ttl = TTL_DEFAULT};
	enum exit_code code = EXIT_DONE;
	int c;

	streams_init(&plan.streams);
	opterr = 0;
	while (code == EXIT_DONE &&
	       (c = getopt_long(argc, argv, "g:p:i:n:r:s:c:d:b:t:S:jqhV", options, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			if (c == 'h')
				print_help();
			else
				printf("traffic_generator %s\n", MPP_VERSION);
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
	code = check(&plan);
	*ret = plan;
	return code;
}
