/* traffic_sink: receives what traffic_generator sends, and accounts for every packet. Exit code 0:
 * what was expected came exactly once (or nothing was expected), 1: it did not, 2: it could not
 * begin. */
#include "mcast/sink/report.h"

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

static enum exit_code tell(const struct sink *s, struct figures *total)
{
	struct report report = {.sink = s,
				.total = total,
				.processor_seconds = processor_seconds(),
				.is_exact = report_is_exact(s)};

	hist_init(&total->delay_ns);
	for (uint32_t i = 0; i < s->opened; i++)
		figures_add(total, &s->flows[i], s->plan->expect);
	if (s->plan->is_json)
		report_json(&report, stdout);
	else if (!s->plan->is_quiet)
		report_text(&report, stdout);
	if (fflush(stdout) != 0)
		return fail_exit("standard output: %s", strerror(errno));
	return s->plan->expect > 0 && !report.is_exact ? EXIT_REFUSED : EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct plan plan;
	struct sink sink;
	struct figures total = {0};
	char why[WHY_BYTES_MAX];
	bool is_over = false;
	enum exit_code code = plan_parse(argc, argv, &plan, &is_over);

	if (code != EXIT_DONE || is_over)
		return code;
	if (sink_open(&sink, &plan, why) == 0) {
		fputs("ready\n", stderr);
		sink_run(&sink);
		code = tell(&sink, &total);
	} else {
		code = fail_exit("%s", why);
	}
	sink_close(&sink);
	return code;
}
