/* sim: runs the protocol core in simulated worlds, one per seed.
 *
 *   sim --seeds N [--first S] [--jobs J]   N seeds, from S (default 1), in J processes
 *   sim --seed S [--trace]                 one of them again, with every frame and event
 *
 * Each failing seed is one line; the last line counts. Exit code 1 when a seed failed, or when
 * so many ran that every aimed fault was tried several times and one, or a change, never happened;
 * 2 for wrong usage. */
#include "faults.h"
#include "scenario.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
/* Two seeds per aim hold one aimed run; from so many rounds on, a hit is certain enough. */
#define COVERAGE_SEEDS (2 * FAULT_AIMS * 5)

struct options {
	uint64_t seeds, first, seed;
	unsigned jobs;
	bool is_single, is_traced;
};

/* One process that runs every `jobs`-th seed and writes a result for each into its pipe. */
struct job {
	pid_t pid;
	int pipe;
	uint64_t next; /* the seed whose result comes next */
};

struct tally {
	uint64_t passed, failed;
	unsigned tried[FAULT_AIMS], hit[FAULT_AIMS];
	uint64_t changes[CHANGE_KINDS];
};

/* ---- jobs ---- */

static void print_failure(const struct scenario_result *r)
{
	char aim[96] = "random faults";

	if (r->aim >= 0) {
		struct fault_aim a = faults_aim((unsigned)r->aim);

		faults_describe(&a, aim, sizeof(aim));
	}
	printf("seed %" PRIu64 ": %s [%s; %s]\n", r->seed, r->failure, r->topology, aim);
}

static void tally_result(struct tally *t, const struct scenario_result *r)
{
	if (r->aim >= 0) {
		t->tried[r->aim]++;
		t->hit[r->aim] += r->has_hit;
	}
	for (unsigned i = 0; i < CHANGE_KINDS; i++)
		t->changes[i] += r->changes[i];
	if (r->failure[0] == '\0') {
		t->passed++;
		return;
	}
	t->failed++;
	print_failure(r);
}

static void run_seeds(int out, uint64_t first, uint64_t end, uint64_t step)
{
	for (uint64_t seed = first; seed < end; seed += step) {
		struct scenario_result r = scenario_run(seed, false);

		if (write(out, &r, sizeof(r)) != (ssize_t)sizeof(r))
			_exit(1);
	}
	_exit(0);
}

static void start_job(struct job *job, const struct options *o)
{
	int fds[2];

	fflush(stdout);
	if (pipe(fds) < 0 || (job->pid = fork()) < 0) {
		fprintf(stderr, "sim: cannot start a process: %s\n", strerror(errno));
		exit(1);
	}
	if (job->pid == 0) {
		close(fds[0]);
		run_seeds(fds[1], job->next, o->first + o->seeds, o->jobs);
	}
	close(fds[1]);
	job->pipe = fds[0];
}

/* A result is smaller than a pipe's atomic write: it is there whole or not at all. */
static bool next_result(struct job *job, struct scenario_result *ret)
{
	return read(job->pipe, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

/* The process died in the seed whose result is missing; the others still have their turn. */
static void restart_job(struct job *job, const struct options *o, struct tally *t)
{
	struct scenario_result r = {.seed = job->next, .aim = -1};
	int status = 0;

	close(job->pipe);
	waitpid(job->pid, &status, 0);
	snprintf(r.failure, sizeof(r.failure), "the run crashed (%s %d)",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	tally_result(t, &r);
	job->next += o->jobs;
	start_job(job, o);
}

static bool is_done(const struct job *job, const struct options *o)
{
	return job->next >= o->first + o->seeds;
}

static void take_result(struct job *job, const struct options *o, struct tally *t)
{
	struct scenario_result r;

	if (!next_result(job, &r)) {
		restart_job(job, o, t);
		return;
	}
	tally_result(t, &r);
	job->next += o->jobs;
}

/* Results as they come, so that no process waits for another. */
static void take_results(struct job *jobs, const struct options *o, struct tally *t)
{
	struct pollfd fds[JOBS_MAX];
	unsigned busy;

	do {
		busy = 0;
		for (unsigned i = 0; i < o->jobs; i++) {
			bool is_busy = !is_done(&jobs[i], o);

			fds[i] = (struct pollfd){.fd = is_busy ? jobs[i].pipe : -1,
						 .events = POLLIN};
			busy += is_busy;
		}
		if (busy == 0 || poll(fds, o->jobs, -1) < 0)
			continue;
		for (unsigned i = 0; i < o->jobs; i++)
			if (fds[i].revents)
				take_result(&jobs[i], o, t);
	} while (busy > 0);
}

/* ---- the whole ---- */

/* True when a fault that was tried often enough never happened. */
static bool print_coverage(const struct tally *t, const struct options *o)
{
	unsigned tried = 0, hit = 0, missed = 0;

	for (unsigned i = 0; i < FAULT_AIMS; i++) {
		struct fault_aim aim = faults_aim(i);
		char text[96];

		tried += t->tried[i];
		hit += t->hit[i];
		if (o->seeds < COVERAGE_SEEDS || t->hit[i] > 0 || !faults_can_happen(&aim))
			continue;
		faults_describe(&aim, text, sizeof(text));
		printf("never happened in %u runs: %s\n", t->tried[i], text);
		missed++;
	}
	printf("aimed faults: %u kinds, %u runs, %u hit\n", FAULT_AIMS, tried, hit);
	return missed > 0;
}

/* As print_coverage, of what operators change. */
static bool print_changes(const struct tally *t, const struct options *o)
{
	uint64_t sum = 0;
	bool is_bare = false;

	for (unsigned i = 0; i < CHANGE_KINDS; i++) {
		sum += t->changes[i];
		if (t->changes[i] > 0 || o->seeds < COVERAGE_SEEDS)
			continue;
		printf("never happened: %s\n", change_name(i));
		is_bare = true;
	}
	printf("changes under way: %u kinds, %" PRIu64 " made\n", CHANGE_KINDS, sum);
	return is_bare;
}

static int run_many(const struct options *o)
{
	struct job jobs[JOBS_MAX] = {0};
	struct tally tally = {0};
	bool is_bare;

	for (unsigned i = 0; i < o->jobs; i++) {
		jobs[i].next = o->first + i;
		start_job(&jobs[i], o);
	}
	take_results(jobs, o, &tally);
	for (unsigned i = 0; i < o->jobs; i++) {
		close(jobs[i].pipe);
		waitpid(jobs[i].pid, NULL, 0);
	}
	is_bare = print_coverage(&tally, o);
	is_bare |= print_changes(&tally, o);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", tally.passed, tally.failed);
	return tally.failed > 0 || is_bare;
}

static int run_one(const struct options *o)
{
	struct scenario_result r = scenario_run(o->seed, o->is_traced);
	bool is_good = r.failure[0] == '\0';

	if (!is_good)
		print_failure(&r);
	printf("%d passed, %d failed\n", is_good, !is_good);
	fflush(stdout);
	/* What a failed run leaves behind is no leak of the program's. */
	if (!is_good)
		_exit(1);
	return 0;
}

static uint64_t number(const char *name, const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || n > max) {
		fprintf(stderr, "sim: --%s %s: expected a number up to %" PRIu64 "\n", name, text,
			max);
		exit(2);
	}
	return n;
}

static void parse(int argc, char **argv, struct options *ret)
{
	static const struct option long_options[] = {
		{"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
		{"jobs", required_argument, NULL, 'j'},	 {"seed", required_argument, NULL, 's'},
		{"trace", no_argument, NULL, 't'},	 {NULL, 0, NULL, 0},
	};
	int c;

	*ret = (struct options){.seeds = 100, .first = 1, .jobs = 1};
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'n')
			ret->seeds = number("seeds", optarg, UINT32_MAX);
		else if (c == 'f')
			ret->first = number("first", optarg, UINT64_MAX / 2);
		else if (c == 'j')
			ret->jobs = (unsigned)number("jobs", optarg, JOBS_MAX);
		else if (c == 's')
			ret->seed = number("seed", optarg, UINT64_MAX / 2);
		else if (c != 't')
			exit(2);
		ret->is_single |= c == 's';
		ret->is_traced |= c == 't';
	}
	if (optind == argc && ret->jobs > 0)
		return;
	fprintf(stderr, "sim: expected --seeds N [--first S] [--jobs J] or --seed S [--trace]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct options o;

	parse(argc, argv, &o);
	return o.is_single ? run_one(&o) : run_many(&o);
}
