/* mpp_controller: asks one thing of one module and says what came of it. Exit code 0: done; 1: the
 * module said no; 2: wrong usage, or the module could not be reached. */
#include "common/base/fail.h"
#include "common/base/limits.h"
#include "common/base/version.h"
#include "common/conf/conf.h"
#include "common/conf/option.h"
#include "common/io/table.h"
#include "controller/call.h"
#include "controller/operation.h"
#include "controller/print.h"

#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* An hour: beyond it, a limit is a mistake. */
#define TIMEOUT_MS_MAX 3600000u

static_assert(CONTROLLER_WAIT_MS > 2 * TOPO_WAIT_MS,
	      "update_topo may wait for new paths, and as long for old ones");

struct command {
	bool is_json;
	uint32_t timeout_ms;
	char host[CONF_HOST_MAX];
	uint16_t port;
	const char *op;
	json_t *request;
};

static enum exit_code print_help(void)
{
	printf("Usage: mpp_controller [options] <remote_ip> <remote_port> <operation> [arguments]\n"
	       "Commands a module of an MPP chain through its comm socket.\n\n"
	       "Operations:\n");
	operation_help(stdout);
	printf("\nOptions:\n"
	       "  -j, --json           print the module's reply as it is\n"
	       "  -t, --timeout=MS     give up after so many milliseconds [%u];\n"
	       "                       update_topo may take twice the module's --topo-wait\n"
	       "  -h, --help           show this, and exit\n"
	       "  -V, --version        show the version, and exit\n\n"
	       "Exit code 0: done; 1: the module said no; 2: wrong usage, or not reachable.\n",
	       CONTROLLER_WAIT_MS);
	return EXIT_DONE;
}

static enum exit_code parse_positional(int argc, char **argv, struct command *ret)
{
	char why[OPERATION_WHY_MAX];
	uint64_t port;

	if (argc < 3)
		return fail_exit("%d arguments, expected <remote_ip> <remote_port> <operation> "
				 "[arguments]; --help tells more",
				 argc);
	if (parse_host(argv[0], ret->host))
		return fail_exit(
			"remote_ip \"%s\": expected an IPv4 or IPv6 address or a host name",
			argv[0]);
	if (parse_u64(argv[1], 1, UINT16_MAX, &port))
		return fail_exit("remote_port \"%s\": expected a whole number from 1 to 65535",
				 argv[1]);
	if (operation_request(argc - 2, argv + 2, &ret->request, why))
		return fail_exit("%s", why);
	ret->port = (uint16_t)port;
	ret->op = argv[2];
	return EXIT_DONE;
}

/* EXIT_DONE without a request: --help or --version was all. */
static enum exit_code parse_command(int argc, char **argv, struct command *ret)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	uint64_t timeout_ms = CONTROLLER_WAIT_MS;
	int c;

	opterr = 0;
	/* "+": options stand first, so that a "-1" behind them is a bad port and no option. */
	while ((c = getopt_long(argc, argv, "+jt:hV", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			ret->is_json = true;
			break;
		case 't':
			if (parse_u64(optarg, 1, TIMEOUT_MS_MAX, &timeout_ms))
				return fail_exit(
					"--timeout \"%s\": expected milliseconds from 1 to %u",
					optarg, TIMEOUT_MS_MAX);
			break;
		case 'h':
			return print_help();
		case 'V':
			printf("mpp_controller %s\n", MPP_VERSION);
			return EXIT_DONE;
		default:
			return option_unknown(argv[optind - 1]);
		}
	}
	ret->timeout_ms = (uint32_t)timeout_ms;
	return parse_positional(argc - optind, argv + optind, ret);
}

static enum exit_code show(const struct command *command, const json_t *reply)
{
	bool is_ok = json_is_true(json_object_get(reply, "ok"));

	if (command->is_json) {
		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (is_ok) {
		print_reply(stdout, command->op, reply);
	} else {
		fprintf(stderr, "mpp_controller: %s port %u: %s: ", command->host, command->port,
			command->op);
		refusal_print(stderr, reply);
		fputc('\n', stderr);
	}
	return is_ok ? EXIT_DONE : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	struct command command = {0};
	enum exit_code code = parse_command(argc, argv, &command);
	char why[CALL_WHY_MAX] = "";
	json_t *reply;

	if (!command.request)
		return code;
	if (call_module(command.host, command.port, command.request, command.timeout_ms, &reply,
			why)) {
		code = fail_exit("%s port %u: %s", command.host, command.port, why);
	} else {
		code = show(&command, reply);
		json_decref(reply);
	}
	json_decref(command.request);
	if (fflush(stdout))
		return fail_exit("cannot write to standard output");
	return code;
}
