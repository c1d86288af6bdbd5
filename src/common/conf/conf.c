/* From a module's command line to struct conf: the options are collected first, so that a file is
 * read before what overrides it; then file, options and positional arguments fill a draft; then
 * what must fit together is checked. */
#include "common/base/hostport.h"
#include "common/base/version.h"
#include "common/conf/draft.h"
#include "common/conf/parse.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

/* Behind the OPTION_COUNT options of the table, in getopt's numbering. */
enum action { ACTION_CONFIG = OPTION_COUNT, ACTION_CHECK, ACTION_HELP, ACTION_VERSION, ACTION_END };
#define GETOPT_BASE 256 /* above every short option */

static const struct option actions[] = {
	{"config", required_argument, NULL, GETOPT_BASE + ACTION_CONFIG},
	{"check", no_argument, NULL, GETOPT_BASE + ACTION_CHECK},
	{"help", no_argument, NULL, GETOPT_BASE + ACTION_HELP},
	{"version", no_argument, NULL, GETOPT_BASE + ACTION_VERSION},
	{NULL, 0, NULL, 0},
};
#define ACTION_ROWS (sizeof(actions) / sizeof(actions[0])) /* the terminator is one */

/* What the options said, not yet looked at. */
struct raw {
	const char *text[OPTION_COUNT]; /* NULL: not there; the last one wins */
	const char *config_path;
	bool is_check;
	int first_positional;
};

const char *module_name(enum module m)
{
	static const char *const names[] = {"ingress", "proxy", "egress"};

	return names[m];
}

const char *program_name(enum module m)
{
	static const char *const names[] = {"mpp_adv_ingress", "mpp_dataplane_proxy",
					    "mpp_adv_egress"};

	return names[m];
}

/* One line, whatever the value holds. */
static void say(char line[LINE_MAX_BYTES])
{
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	fprintf(stderr, "%s\n", line);
}

int draft_fail(const struct draft *d, const char *where, const char *value, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES], expected[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(expected, sizeof(expected), fmt, args);
	va_end(args);
	snprintf(line, sizeof(line), "%s: %.450s: %s%.100s%s%s", program_name(d->conf.module),
		 where, value ? "\"" : "", value ? value : "", value ? "\": " : "", expected);
	say(line);
	return -EINVAL;
}

static void help_print(const struct draft *d)
{
	enum module m = d->conf.module;

	printf("Usage: %s [option]... <listen_num> <backend_num>\n"
	       "           {<listen_ip> <listen_port> <listen_write_ratio>}...\n"
	       "           {<backend_ip> <backend_port> <backend_write_ratio>}...\n"
	       "           <comm_ip> <comm_port>\n"
	       "       %s [option]... --config FILE\n\n"
	       "The %s of a multipath TCP chain. listen_num is 1 for an ingress, backend_num is 1\n"
	       "for an egress. An address is IPv4, IPv6 or a host name; a ratio is a whole number "
	       "up\n"
	       "to %u, the throughput expected there, and may be 0 only where nothing is split "
	       "(an\n"
	       "ingress's listen side, an egress's backend side). Options come first.\n",
	       program_name(m), program_name(m), module_name(m), RATIO_MAX);
	printf("\nGeneral:\n"
	       "  --config=FILE          read FILE first; the command line goes over it\n"
	       "  --check                check the command line and the file, and exit\n"
	       "  -h, --help             show this, and exit\n"
	       "  -V, --version          show the version, and exit\n");
	option_help(d, stdout);
	printf("\nIn the file the same names have underscores; see mpp.conf(5) and %s(1).\n",
	       program_name(m));
}

/* All long options of the module in getopt's form. */
static void getopt_fill(enum module m, struct option ret[OPTION_COUNT + ACTION_ROWS])
{
	for (enum option_id id = 0; id < OPTION_COUNT; id++) {
		if (!option_is_of(m, id))
			continue;
		*ret++ = (struct option){
			.name = option_name(id),
			.has_arg = option_is_flag(id) ? optional_argument : required_argument,
			.val = GETOPT_BASE + (int)id,
		};
	}
	memcpy(ret, actions, sizeof(actions));
}

/* getopt's '?': a name that is unknown or the start of several, or a value where none is taken. */
static int option_unknown(const struct draft *d, const char *arg)
{
	char name[64], where[WHERE_MAX];
	struct near n;

	if (optopt > 0 && optopt < GETOPT_BASE)
		snprintf(name, sizeof(name), "-%c", optopt); /* maybe not the first of `arg` */
	else
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="), arg);
	snprintf(where, sizeof(where), "option %.60s", name);
	if (optopt >= GETOPT_BASE)
		return draft_fail(d, where, arg + strlen(name) + 1, "expected no value");
	near_init(&n, name + strspn(name, "-"));
	for (enum option_id id = 0; id < OPTION_COUNT; id++)
		if (option_is_of(d->conf.module, id))
			near_try(&n, option_name(id));
	for (size_t i = 0; actions[i].name; i++)
		near_try(&n, actions[i].name);
	if (n.best)
		return draft_fail(d, where, NULL, "unknown, expected perhaps --%s", n.best);
	return draft_fail(d, where, NULL,
			  "unknown or cut too short, expected one of those that --help "
			  "lists");
}

/* "-1" is a bad listen_num rather than an option that nobody has. */
static bool is_negative_number(const char *arg)
{
	return arg && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9';
}

static enum conf_result action_take(const struct draft *d, int action, struct raw *raw)
{
	if (action == ACTION_CONFIG)
		raw->config_path = optarg;
	else if (action == ACTION_CHECK)
		raw->is_check = true;
	else if (action == ACTION_HELP)
		help_print(d);
	else
		printf("%s %s\n", program_name(d->conf.module), MPP_VERSION);
	return action == ACTION_CONFIG || action == ACTION_CHECK ? CONF_RUN : CONF_DONE;
}

static enum conf_result option_take(const struct draft *d, int c, char **argv, struct raw *raw)
{
	char where[WHERE_MAX];

	if (c == '?') {
		option_unknown(d, argv[optind - 1]);
		return CONF_FAILED;
	}
	if (c == ':') {
		snprintf(where, sizeof(where), "option %.60s", argv[optind - 1]);
		draft_fail(d, where, NULL, "expected a value behind it");
		return CONF_FAILED;
	}
	if (c == 'h' || c == 'V')
		return action_take(d, c == 'h' ? ACTION_HELP : ACTION_VERSION, raw);
	c -= GETOPT_BASE;
	if (c >= OPTION_COUNT)
		return action_take(d, c, raw);
	raw->text[c] = optarg ? optarg : "true";
	return CONF_RUN;
}

static enum conf_result options_collect(const struct draft *d, int argc, char **argv,
					struct raw *raw)
{
	struct option longs[OPTION_COUNT + ACTION_ROWS];
	enum conf_result result = CONF_RUN;
	int c, next = argc > 0; /* a program can be started without even its name */

	getopt_fill(d->conf.module, longs);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while (result == CONF_RUN && !is_negative_number(argv[next])) {
		c = getopt_long(argc, argv, "+:hV", longs, NULL);
		if (c == -1)
			break;
		result = option_take(d, c, argv, raw);
		next = optind;
	}
	raw->first_positional = optind > 0 ? optind : 1;
	return result;
}

static int options_apply(struct draft *d, const struct raw *raw)
{
	char where[WHERE_MAX];

	for (enum option_id id = 0; id < OPTION_COUNT; id++) {
		if (!raw->text[id])
			continue;
		snprintf(where, sizeof(where), "option --%s", option_name(id));
		if (option_set(d, id, where, raw->text[id]))
			return -EINVAL;
	}
	return 0;
}

/* Without positional arguments the file must have had all of them. */
static int addresses_check(const struct draft *d, const char *path)
{
	const char *missing = NULL;

	if (d->conf.listen_count == 0)
		missing = "listen";
	else if (d->conf.backend_count == 0)
		missing = "backend";
	else if (d->conf.comm.port == 0)
		missing = "comm";
	if (!missing)
		return 0;
	if (path)
		return draft_fail(d, path, NULL,
				  "no \"%s\" in it: expected that, or all addresses as arguments",
				  missing);
	return draft_fail(d, "0 arguments", NULL,
			  "expected listen_num, backend_num and the addresses, or --config FILE; "
			  "see --help");
}

/* Half of the memory is kept for the first credits, which are granted before anything is known of
 * a session. A user who sets one of the two numbers means the other to follow. */
static int memory_fit(struct draft *d)
{
	struct conf *c = &d->conf;
	uint64_t covered = c->memory_limit_bytes / 2 / FIRST_CREDIT_BYTES;
	uint64_t needed = 2ull * c->sessions_max * FIRST_CREDIT_BYTES;
	char limit[FORMAT_MAX], value[FORMAT_MAX];

	if (c->memory_limit_bytes / c->workers < MEMORY_WORKER_MIN) {
		format_size(c->memory_limit_bytes, limit);
		snprintf(value, sizeof(value), "%" PRIu32, c->workers);
		return draft_fail(d, "workers", value,
				  "expected at most %" PRIu64
				  " with a memory limit of %s, of which "
				  "each takes %u MiB",
				  c->memory_limit_bytes / MEMORY_WORKER_MIN, limit,
				  MEMORY_WORKER_MIN / MIB);
	}
	if (!d->is_given[OPTION_MAX_SESSIONS] && d->is_given[OPTION_MEMORY_LIMIT])
		c->sessions_max = (uint32_t)covered;
	else if (c->sessions_max > covered && !d->is_given[OPTION_MEMORY_LIMIT])
		c->memory_limit_bytes = needed;
	else if (c->sessions_max > covered) {
		format_size(c->memory_limit_bytes, limit);
		snprintf(value, sizeof(value), "%" PRIu32, c->sessions_max);
		return draft_fail(d, "max-sessions", value,
				  "expected at most %" PRIu64 " with a memory limit of %s, half of "
				  "which covers the first %u bytes of each",
				  covered, limit, FIRST_CREDIT_BYTES);
	}
	return 0;
}

static int auth_check_address(const struct draft *d, const char *name, const struct conf_address *a)
{
	char where[WHERE_MAX], text[HOSTPORT_TEXT_MAX];

	if (conf_address_is_loopback(a))
		return 0;
	snprintf(where, sizeof(where), "option --require-auth, %s", name);
	hostport_text(a->host, a->port, text);
	return draft_fail(d, where, text, "expected a loopback address, or a --key-file");
}

/* An ingress's listener is for clients, who have no key in any case. */
static int auth_check(const struct draft *d)
{
	const struct conf *c = &d->conf;

	if (!c->require_auth || c->key_file[0])
		return 0;
	for (size_t i = 0; c->module != MODULE_INGRESS && i < c->listen_count; i++)
		if (auth_check_address(d, "listen", &c->listen[i]))
			return -EINVAL;
	return auth_check_address(d, "comm", &c->comm);
}

static int draft_fill(struct draft *d, const struct raw *raw, int argc, char **argv)
{
	int count = argc - raw->first_positional;

	option_set_defaults(d);
	if (raw->config_path && file_parse(d, raw->config_path))
		return -EINVAL;
	if (options_apply(d, raw))
		return -EINVAL;
	if (count > 0 && positional_parse(d, count, argv + raw->first_positional))
		return -EINVAL;
	if (addresses_check(d, raw->config_path) || memory_fit(d))
		return -EINVAL;
	return auth_check(d);
}

static void check_print(const struct conf *c)
{
	char comm[HOSTPORT_TEXT_MAX], limit[FORMAT_MAX];

	hostport_text(c->comm.host, c->comm.port, comm);
	format_size(c->memory_limit_bytes, limit);
	printf("configuration is good: %s, %zu listen, %zu backend, comm %s, scheduler %s, "
	       "workers %" PRIu32 ", memory limit %s, max sessions %" PRIu32 "\n",
	       module_name(c->module), c->listen_count, c->backend_count, comm, c->scheduler,
	       c->workers, limit, c->sessions_max);
}

enum conf_result conf_parse(enum module m, int argc, char **argv, const char *const *schedulers,
			    struct conf *ret)
{
	struct draft d = {.schedulers = schedulers, .conf = {.module = m}};
	struct raw raw = {.first_positional = 1};
	enum conf_result result = options_collect(&d, argc, argv, &raw);

	if (result != CONF_RUN)
		return result;
	if (draft_fill(&d, &raw, argc, argv))
		return CONF_FAILED;
	if (raw.is_check) {
		check_print(&d.conf);
		return CONF_DONE;
	}
	*ret = d.conf;
	return CONF_RUN;
}
