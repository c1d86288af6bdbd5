/* traffic_generator: multicast streams of numbered and stamped packets, at an exact rate. Exit code
 * 0: all was sent, or it was told to end, 1: some could not be sent, 2: it could not begin. */
#include "mcast/generator/generator.h"
#include "mcast/generator/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static double processor_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static enum exit_code generate(const struct plan *plan, struct sender *sender, struct tally *tally)
{
	struct report report = {.plan = plan, .tally = tally};
	char why[WHY_BYTES_MAX];

	generator_block_signals();
	tally_init(tally);
	if (sender_open(sender, plan, tally, why))
		return fail_exit("%s", why);
	report.is_interrupted = generator_run(sender);
	report.run = sender->run;
	report.processor_seconds = processor_seconds();
	if (plan->is_json)
		report_json(&report, stdout);
	else if (!plan->is_quiet)
		report_text(&report, stdout);
	if (fflush(stdout) != 0)
		return fail_exit("standard output: %s", strerror(errno));
	return tally->unsent > 0 ? EXIT_REFUSED : EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct plan plan;
	struct sender *sender;
	struct tally *tally;
	bool is_over = false;
	enum exit_code code = plan_parse(argc, argv, &plan, &is_over);

	if (code != EXIT_DONE || is_over)
		return code;
	sender = malloc(sizeof(*sender)); /* with the pattern, too large for a stack */
	tally = malloc(sizeof(*tally));
	if (sender && tally) {
		code = generate(&plan, sender, tally);
		sender_close(sender);
	} else {
		code = fail_exit("%s", strerror(ENOMEM));
	}
	free(tally);
	free(sender);
	return code;
}
