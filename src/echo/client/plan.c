/* Options, one by one. */
#include "common/base/minmax.h"
#include "common/base/version.h"
#include "common/conf/parse.h"
#include "echo/client/plan_internal.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define HOST_DEFAULT "127.0.0.1"
#define PORT_DEFAULT 7007
#define SIZE_DEFAULT 256u /* what the comparison of the models was first made with */
/* Far beyond what a socket holds. */
#define SIZE_MAX_BYTES (64u * MIB)
#define DEPTH_MAX 65536u
#define SECONDS_DEFAULT_MS 5000u
#define WARM_UP_DEFAULT_MS 1000u /* TCP's windows have grown and caches are warm well before */
#define HOLD_DEFAULT_MS 1000u
#define TIMEOUT_DEFAULT_MS 10000u /* three lost SYNs: 1 + 2 + 4 s */
#define VERIFY_DEFAULT 1000u

/* Options without a short name. */
enum {
	OPTION_WARM_UP = 256,
	OPTION_HOLD,
	OPTION_VERIFY,
	OPTION_SOURCES,
	OPTION_SOURCE_DEV,
	OPTION_TIMEOUT,
	OPTION_SERVER_PID
};

static void print_help(void)
{
	puts("Usage: echo_client --model=thread|fork|event --test=connections|throughput|latency "
	     "[options]\n"
	     "Connects to an echo server, and checks every byte that comes back.\n\n"
	     "Options:\n"
	     "  -m, --model=MODEL         a thread or a process for each connection, or events\n"
	     "  -t, --test=TEST           how many connections, how much, or how soon\n"
	     "  -H, --host=ADDR           of the server [127.0.0.1]\n"
	     "  -p, --port=N              of the server [7007]\n"
	     "  -n, --connections=N|max   how many; max: as many as fit [100; connections: max]\n"
	     "  -s, --size=N[,N...]       bytes of a message, or several in turn; K, M [256]\n"
	     "  -d, --depth=K             messages outstanding on each connection [1]\n"
	     "  -T, --seconds=S           measured time of each size [5]\n"
	     "      --warm-up=S           before each of these [1]\n"
	     "      --hold=S              connections test: how long all are held [1]\n"
	     "      --verify=N|all        connections test: so many then echo a message [1000]\n"
	     "      --sources=ADDR/PREFIX source addresses [127.0.0.0/8 towards a loopback "
	     "server]\n"
	     "      --source-dev=IFACE    add those that are used to it, and remove them again\n"
	     "  -w, --workers=N           processes; by default as many as are needed\n"
	     "      --timeout=S           for a connection to be made, and for an echo [10]\n"
	     "      --server-pid=PID      measure the memory of this process and its children\n"
	     "  -j, --json                print one JSON object instead of a table\n"
	     "  -h, --help                show this, and exit\n"
	     "  -V, --version             show the version, and exit\n\n"
	     "Exit code 0: all was done and verified, 1: something failed, 2: could not begin.");
}

/* Seconds with up to three decimals, as milliseconds. */
static int parse_seconds(const char *text, uint64_t min_ms, uint64_t *ret_ms)
{
	char digits[sizeof("86400")], decimals[sizeof("000")] = "000";
	size_t whole = strcspn(text, "."), part = 0;
	uint64_t seconds = 0, ms;

	if (whole >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, text, whole);
	digits[whole] = '\0';
	if (text[whole] == '.') {
		part = strlen(text + whole + 1);
		if (part == 0 || part >= sizeof(decimals))
			return -EINVAL;
		memcpy(decimals, text + whole + 1, part);
	}
	/* ".5" is good, "" is not. */
	if (((whole > 0 || part == 0) && parse_u64(digits, 0, WAIT_CEILING_MS / 1000, &seconds)) ||
	    parse_u64(decimals, 0, 999, &ms))
		return -EINVAL;
	ms += seconds * 1000;
	if (ms < min_ms || ms > WAIT_CEILING_MS)
		return -ERANGE;
	*ret_ms = ms;
	return 0;
}

static enum plan_result set_seconds(const char *option, uint64_t min_ms, uint64_t *ret_ms)
{
	if (parse_seconds(optarg, min_ms, ret_ms))
		return fail_plan("--%s \"%s\": expected seconds, as 0.5 or 10, up to a day", option,
				 optarg);
	return PLAN_RUN;
}

static enum plan_result set_count(const char *option, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t value = 0;

	if (parse_u64(optarg, min, max, &value))
		return fail_plan("--%s \"%s\": expected a whole number from %u to %u", option,
				 optarg, min, max);
	*ret = (uint32_t)value;
	return PLAN_RUN;
}

/* A number or the word that means without limit. */
static enum plan_result set_share(const char *option, const char *word, uint32_t min, uint32_t *ret)
{
	uint64_t value = PLAN_UNLIMITED;

	if (strcmp(optarg, word) != 0 && parse_u64(optarg, min, PLAN_CONNECTIONS_MAX, &value))
		return fail_plan("--%s \"%s\": expected a whole number from %u to %u, or \"%s\"",
				 option, optarg, min, PLAN_CONNECTIONS_MAX, word);
	*ret = (uint32_t)value;
	return PLAN_RUN;
}

static enum plan_result set_model(struct draft *d, struct plan *plan)
{
	for (enum model m = MODEL_THREAD; m <= MODEL_EVENT; m++) {
		if (strcmp(optarg, model_name(m)) == 0) {
			plan->model = m;
			d->has_model = true;
			return PLAN_RUN;
		}
	}
	return fail_plan("--model \"%s\": expected thread, fork or event", optarg);
}

static enum plan_result set_test(struct draft *d, struct plan *plan)
{
	for (enum test t = TEST_CONNECTIONS; t <= TEST_LATENCY; t++) {
		if (strcmp(optarg, test_name(t)) == 0) {
			plan->test = t;
			d->has_test = true;
			return PLAN_RUN;
		}
	}
	return fail_plan("--test \"%s\": expected connections, throughput or latency", optarg);
}

static enum plan_result set_sizes(struct plan *plan)
{
	const char *at = optarg;

	for (plan->size_count = 0;; at++) {
		char text[FORMAT_MAX];
		size_t len = strcspn(at, ",");
		uint64_t bytes = 0;

		snprintf(text, sizeof(text), "%.*s", (int)min_u64(len, sizeof(text)), at);
		if (parse_size(text, 1, SIZE_MAX_BYTES, &bytes))
			return fail_plan("--size \"%s\": expected bytes from 1 to 64M, and a comma "
					 "between several",
					 optarg);
		if (plan->size_count == PLAN_SIZES_MAX)
			return fail_plan("--size \"%s\": more than %u", optarg, PLAN_SIZES_MAX);
		plan->sizes[plan->size_count++] = (uint32_t)bytes;
		at += len;
		if (*at == '\0')
			return PLAN_RUN;
	}
}

static enum plan_result set_host(struct plan *plan)
{
	if (parse_host(optarg, plan->host))
		return fail_plan("--host \"%s\": expected an address or a name", optarg);
	return PLAN_RUN;
}

static enum plan_result set_option(int c, char **argv, struct draft *d, struct plan *plan)
{
	switch (c) {
	case 'm':
		return set_model(d, plan);
	case 't':
		return set_test(d, plan);
	case 'H':
		return set_host(plan);
	case 'p':
		return set_count("port", 1, UINT16_MAX, &d->port);
	case 'n':
		d->has_connections = true;
		return set_share("connections", "max", 1, &plan->connections);
	case 's':
		return set_sizes(plan);
	case 'd':
		return set_count("depth", 1, DEPTH_MAX, &plan->depth);
	case 'T':
		return set_seconds("seconds", 1, &plan->seconds_ms);
	case OPTION_WARM_UP:
		return set_seconds("warm-up", 0, &plan->warm_up_ms);
	case OPTION_HOLD:
		return set_seconds("hold", 0, &plan->hold_ms);
	case OPTION_TIMEOUT:
		return set_seconds("timeout", 1, &plan->timeout_ms);
	case OPTION_VERIFY:
		return set_share("verify", "all", 0, &plan->verify);
	case OPTION_SOURCES:
		d->sources = optarg;
		return PLAN_RUN;
	case OPTION_SOURCE_DEV:
		d->source_dev = optarg;
		return PLAN_RUN;
	case 'w':
		return set_count("workers", 1, PLAN_WORKERS_MAX, &plan->workers);
	case OPTION_SERVER_PID:
		return set_count("server-pid", 1, INT32_MAX, &d->server_pid);
	case 'j':
		plan->is_json = true;
		return PLAN_RUN;
	case 'h':
		print_help();
		return PLAN_DONE;
	case 'V':
		printf("echo_client %s\n", MPP_VERSION);
		return PLAN_DONE;
	default:
		return fail_plan("option \"%s\": not known, or its value is missing or one too "
				 "many; --help tells more",
				 argv[optind - 1]);
	}
}

enum plan_result plan_parse(int argc, char **argv, struct plan *ret)
{
	static const struct option options[] = {
		{"model", required_argument, NULL, 'm'},
		{"test", required_argument, NULL, 't'},
		{"host", required_argument, NULL, 'H'},
		{"port", required_argument, NULL, 'p'},
		{"connections", required_argument, NULL, 'n'},
		{"size", required_argument, NULL, 's'},
		{"depth", required_argument, NULL, 'd'},
		{"seconds", required_argument, NULL, 'T'},
		{"warm-up", required_argument, NULL, OPTION_WARM_UP},
		{"hold", required_argument, NULL, OPTION_HOLD},
		{"verify", required_argument, NULL, OPTION_VERIFY},
		{"sources", required_argument, NULL, OPTION_SOURCES},
		{"source-dev", required_argument, NULL, OPTION_SOURCE_DEV},
		{"workers", required_argument, NULL, 'w'},
		{"timeout", required_argument, NULL, OPTION_TIMEOUT},
		{"server-pid", required_argument, NULL, OPTION_SERVER_PID},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct plan plan = {.host = HOST_DEFAULT,
			    .sizes = {SIZE_DEFAULT},
			    .size_count = 1,
			    .depth = 1,
			    .seconds_ms = SECONDS_DEFAULT_MS,
			    .warm_up_ms = WARM_UP_DEFAULT_MS,
			    .hold_ms = HOLD_DEFAULT_MS,
			    .timeout_ms = TIMEOUT_DEFAULT_MS,
			    .verify = VERIFY_DEFAULT};
	struct draft draft = {.port = PORT_DEFAULT};
	enum plan_result result = PLAN_RUN;
	int c;

	opterr = 0;
	while (result == PLAN_RUN &&
	       (c = getopt_long(argc, argv, "m:t:H:p:n:s:d:T:w:jhV", options, NULL)) != -1)
		result = set_option(c, argv, &draft, &plan);
	if (result != PLAN_RUN)
		return result;
	if (optind < argc)
		return fail_plan("argument \"%s\": expected options only", argv[optind]);
	result = plan_check(&draft, &plan);
	if (result == PLAN_RUN)
		*ret = plan;
	return result;
}
