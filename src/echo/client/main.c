/* echo_client: many connections to an echo server, or many bytes through few, every byte checked.
 * Exit code 0: all was done and verified, 1: something failed, 2: it could not begin. */
#include "echo/client/crew.h"
#include "echo/client/report.h"
#include "echo/client/rtaddr.h"
#include "echo/client/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Before many workers fail at it. */
static enum exit_code try_interface(const struct plan *plan)
{
	union address first = sources_nth(&plan->sources, 0);
	int err;

	if (plan->source_interface == 0)
		return EXIT_DONE;
	err = rtaddr_add(plan->source_interface, &first);
	if (err && err != -EEXIST)
		return fail_exit("--source-dev: cannot add an address: %s", strerror(-err));
	if (!err)
		rtaddr_remove(plan->source_interface, &first);
	return EXIT_DONE;
}

static enum exit_code test(struct crew *crew, struct summary *summary)
{
	trial_run(crew, summary);
	(crew->plan->is_json ? report_json : report_text)(summary, stdout);
	if (fflush(stdout) != 0)
		return fail_exit("standard output: %s", strerror(errno));
	return summary_is_good(summary) ? EXIT_DONE : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	struct plan plan;
	struct crew crew;
	struct pattern *pattern;
	struct summary *summary; /* a quarter of a megabyte of histograms */
	enum plan_result result = plan_parse(argc, argv, &plan);
	enum exit_code code;
	int err;

	if (result != PLAN_RUN)
		return result == PLAN_DONE ? EXIT_DONE : EXIT_FAILED;
	code = try_interface(&plan);
	if (code != EXIT_DONE)
		return code;
	pattern = malloc(sizeof(*pattern));
	summary = malloc(sizeof(*summary));
	if (pattern && summary) {
		pattern_init(pattern);
		err = crew_open(&crew, &plan, pattern);
		code = err ? fail_exit("%s", strerror(-err)) : test(&crew, summary);
		crew_close(&crew);
	} else {
		code = fail_exit("%s", strerror(ENOMEM));
	}
	free(summary);
	free(pattern);
	return code;
}
