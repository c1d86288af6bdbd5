/* multicast_relay: republishes multicast streams into networks that routing cannot reach. Exit code
 * 0: ended when told to, 2: could not begin. */
#include "mcast/common/rule_conf.h"
#include "mcast/relay/supervisor.h"

#include <stdio.h>

static enum exit_code check(const char *path)
{
	struct ruleset *rules;
	char why[WHY_BYTES_MAX];

	if (rule_conf_read(path, &rules, why) < 0)
		return fail_exit("%s", why);
	printf("%s: %zu rules, all good\n", path, ruleset_count(rules));
	ruleset_free(rules);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct options options;
	bool is_over = false;
	enum exit_code code;

	log_init("multicast_relay", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	code = options_parse(argc, argv, &options, &is_over);
	if (code != EXIT_DONE || is_over)
		return code;
	log_init("multicast_relay", options.log_level, options.log_format);
	if (options.is_worker)
		return worker_run(&options.worker);
	return options.is_check ? check(options.config) : supervisor_run(&options);
}
