/* echo_server: sends back what TCP clients send, in one of several models. Exit code 0: ended when
 * told to, 2: could not begin. */
#include "common/base/log.h"
#include "echo/server/options.h"
#include "echo/server/supervisor.h"

int main(int argc, char **argv)
{
	struct options options;
	bool is_over = false;
	enum exit_code code;

	log_init("echo_server", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	code = options_parse(argc, argv, &options, &is_over);
	return code == EXIT_DONE && !is_over ? supervisor_run(&options) : code;
}
