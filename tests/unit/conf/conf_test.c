/* Command lines and files against what they must give: each wrong input its one line on standard
 * error, each good one its fields. Runs in the top folder, for configs/. */
#include "common/conf/conf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ARGS_MAX 256
#define OUTPUT_MAX 8192

/* A file of bytes without a name in any folder: FILE_FD always holds the test's one. */
#define FILE_FD 100
#define FILE_PATH "/proc/self/fd/100"
/* And another one a key. */
#define KEY_FD 101
#define KEY_PATH "/proc/self/fd/101"
#define KEY_TEXT "0123456789abcdef"

static const char *const schedulers[] = {"weighted", "adaptive", NULL};
static const char *const programs[] = {"mpp_adv_ingress", "mpp_dataplane_proxy", "mpp_adv_egress"};

struct run {
	enum conf_result result;
	struct conf conf;
	char out[OUTPUT_MAX], err[OUTPUT_MAX];
};

static int memory_file(const char *text)
{
	int fd = memfd_create("conf_test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void file_put(int at_fd, const char *text)
{
	int fd = memory_file(text);

	assert_int_equal(dup2(fd, at_fd), at_fd);
	close(fd);
}

/* Puts a memory file in the place of a standard stream; returns what was there. */
static int stream_capture(FILE *stream, int *ret_saved)
{
	int fd = memory_file("");

	fflush(stream);
	*ret_saved = dup(fileno(stream));
	assert_true(dup2(fd, fileno(stream)) >= 0);
	return fd;
}

static void stream_release(FILE *stream, int fd, int saved, char ret_text[OUTPUT_MAX])
{
	ssize_t len;

	fflush(stream);
	assert_true(dup2(saved, fileno(stream)) >= 0);
	close(saved);
	len = pread(fd, ret_text, OUTPUT_MAX - 1, 0);
	assert_true(len >= 0);
	ret_text[len] = '\0';
	close(fd);
}

/* `line` is split at single spaces; `file` (NULL: none) is what FILE_PATH holds meanwhile. */
static void run(struct run *r, enum module m, const char *line, const char *file)
{
	char copy[OUTPUT_MAX], *argv[ARGS_MAX + 2] = {(char *)programs[m]}, *rest = copy;
	int argc = 1, out, err, saved_out, saved_err;

	assert_true(snprintf(copy, sizeof(copy), "%s", line) < OUTPUT_MAX);
	while (*line && rest) {
		assert_true(argc <= ARGS_MAX);
		argv[argc++] = strsep(&rest, " ");
	}
	file_put(KEY_FD, KEY_TEXT "\n");
	if (file)
		file_put(FILE_FD, file);
	memset(&r->conf, 0xa5, sizeof(r->conf));
	out = stream_capture(stdout, &saved_out);
	err = stream_capture(stderr, &saved_err);
	r->result = conf_parse(m, argc, argv, schedulers, &r->conf);
	stream_release(stderr, err, saved_err, r->err);
	stream_release(stdout, out, saved_out, r->out);
	close(KEY_FD);
	if (file)
		close(FILE_FD);
}

struct bad_case {
	enum module m;
	const char *line;
	const char *file;
	const char *expected; /* behind "<program>: " */
};

static void check_bad(const struct bad_case *cases, size_t count)
{
	struct run r;
	struct conf untouched;
	char expected[OUTPUT_MAX];

	memset(&untouched, 0xa5, sizeof(untouched));
	for (size_t i = 0; i < count; i++) {
		run(&r, cases[i].m, cases[i].line, cases[i].file);
		snprintf(expected, sizeof(expected), "%s: %s\n", programs[cases[i].m],
			 cases[i].expected);
		assert_string_equal(r.err, expected);
		assert_string_equal(r.out, "");
		assert_int_equal(r.result, CONF_FAILED);
		assert_memory_equal(&r.conf, &untouched, sizeof(untouched));
	}
}

#define L "127.0.0.1"
#define GOOD_INGRESS "1 2 " L " 7000 0 " L " 7001 1 " L " 7002 2 " L " 7009"

static const struct bad_case bad_positional_cases[] = {
	{MODULE_INGRESS, "", NULL,
	 "0 arguments: expected listen_num, backend_num and the addresses, or --config "
	 "FILE; see --help"},
	{MODULE_INGRESS, "1", NULL, "1 argument: expected backend_num and the addresses next"},
	{MODULE_INGRESS, "1 3 " L " 7000 0 " L " 7001 1 7009", NULL,
	 "9 arguments: expected 16 for listen_num 1 and backend_num 3"},
	{MODULE_INGRESS, GOOD_INGRESS " extra", NULL,
	 "14 arguments: expected 13 for listen_num 1 and backend_num 2"},
	{MODULE_INGRESS, "2 1 x", NULL,
	 "argument 1 (listen_num): \"2\": expected 1, as always for an ingress"},
	{MODULE_INGRESS, "-1 1 x", NULL,
	 "argument 1 (listen_num): \"-1\": expected 1, as always for an ingress"},
	{MODULE_INGRESS, "1 0 x", NULL,
	 "argument 2 (backend_num): \"0\": expected a whole number from 1 to 64"},
	{MODULE_PROXY, "65 1 x", NULL,
	 "argument 1 (listen_num): \"65\": expected a whole number from 1 to 64"},
	{MODULE_PROXY, "one 1 x", NULL,
	 "argument 1 (listen_num): \"one\": expected a whole number from 1 to 64"},
	{MODULE_EGRESS, "1 2 x", NULL,
	 "argument 2 (backend_num): \"2\": expected 1, as always for an egress"},
	{MODULE_INGRESS, "1 1 " L " 7000 -1 " L " 7001 1 " L " 7009", NULL,
	 "argument 5 (listen_write_ratio1): \"-1\": expected a whole number from 0 to "
	 "1000000"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 7001 0 " L " 7009", NULL,
	 "argument 8 (backend_write_ratio1): \"0\": expected a whole number from 1 to "
	 "1000000"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 7001 1000001 " L " 7009", NULL,
	 "argument 8 (backend_write_ratio1): \"1000001\": expected a whole number from 1 "
	 "to 1000000"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 7001 18446744073709551617 " L " 7009", NULL,
	 "argument 8 (backend_write_ratio1): \"18446744073709551617\": expected a whole "
	 "number from 1 to 1000000"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 7001 1.5 " L " 7009", NULL,
	 "argument 8 (backend_write_ratio1): \"1.5\": expected a whole number from 1 to "
	 "1000000"},
	{MODULE_PROXY, "1 1 " L " 7000 0 " L " 7001 1 " L " 7009", NULL,
	 "argument 5 (listen_write_ratio1): \"0\": expected a whole number from 1 to "
	 "1000000"},
	{MODULE_EGRESS, "1 1 " L " 7000 0 " L " 7001 1 " L " 7009", NULL,
	 "argument 5 (listen_write_ratio1): \"0\": expected a whole number from 1 to "
	 "1000000"},
	{MODULE_EGRESS, "1 1 " L " 7000 1 " L " 7001 x " L " 7009", NULL,
	 "argument 8 (backend_write_ratio1): \"x\": expected a whole number from 0 to "
	 "1000000"},
	{MODULE_INGRESS, "1 1 127.0.0.256 7000 0 " L " 7001 1 " L " 7009", NULL,
	 "argument 3 (listen_ip1): \"127.0.0.256\": expected an IPv4 address, an IPv6 "
	 "address or a host name"},
	{MODULE_INGRESS, "1 1 " L " 0 0 " L " 7001 1 " L " 7009", NULL,
	 "argument 4 (listen_port1): \"0\": expected a port from 1 to 65535"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 65536 1 " L " 7009", NULL,
	 "argument 7 (backend_port1): \"65536\": expected a port from 1 to 65535"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 7001 1 bad_name 7009", NULL,
	 "argument 9 (comm_ip): \"bad_name\": expected an IPv4 address, an IPv6 address "
	 "or a host name"},
	{MODULE_INGRESS, "1 1 " L " 7000 0 " L " 7001 1 " L " +7009", NULL,
	 "argument 10 (comm_port): \"+7009\": expected a port from 1 to 65535"},
	{MODULE_INGRESS, "1 2 " L " 7000 0 ::1 7001 1 [0:0::1] 7001 2 " L " 7009", NULL,
	 "argument 9 (backend_ip2): \"[::1]:7001\": expected an address that is not "
	 "backend 1 already"},
	{MODULE_EGRESS, "2 1 a.example 7000 1 A.Example 7000 1 " L " 7001 1 " L " 7009", NULL,
	 "argument 6 (listen_ip2): \"A.Example:7000\": expected an address that is not "
	 "listen 1 already"},
	{MODULE_INGRESS, "--workers=2 1 1 " L " 7000 0 " L " 7001 1 " L " \n\t", NULL,
	 "argument 10 (comm_port): \"??\": expected a port from 1 to 65535"},
};

static void bad_positional(void **state)
{
	(void)state;
	check_bad(bad_positional_cases, COUNT(bad_positional_cases));
}

#define OF_16 KEY_TEXT
#define OF_64 OF_16 OF_16 OF_16 OF_16
#define OF_256 OF_64 OF_64 OF_64 OF_64

static const struct bad_case bad_options_cases[] = {
	{MODULE_PROXY, "--wrokers=2", NULL,
	 "option --wrokers: unknown, expected perhaps --workers"},
	{MODULE_PROXY, "--nonsense", NULL,
	 "option --nonsense: unknown or cut too short, expected one of those that --help "
	 "lists"},
	{MODULE_PROXY, "--max=3", NULL,
	 "option --max: unknown or cut too short, expected one of those that --help "
	 "lists"},
	{MODULE_PROXY, "-xV", NULL,
	 "option -x: unknown or cut too short, expected one of those that --help lists"},
	{MODULE_PROXY, "--check=yes", NULL, "option --check: \"yes\": expected no value"},
	{MODULE_PROXY, "--workers", NULL, "option --workers: expected a value behind it"},
	{MODULE_PROXY, "--workers=0", NULL,
	 "option --workers: \"0\": expected a whole number from 1 to 64"},
	{MODULE_PROXY, "--memory-limit=15M", NULL,
	 "option --memory-limit: \"15M\": expected bytes from 16M to 1024G, a number "
	 "with K, M, G or nothing behind it"},
	{MODULE_PROXY, "--memory-limit=64MB", NULL,
	 "option --memory-limit: \"64MB\": expected bytes from 16M to 1024G, a number "
	 "with K, M, G or nothing behind it"},
	{MODULE_PROXY, "--max-frame=2M", NULL,
	 "option --max-frame: \"2M\": expected bytes from 4K to 1M, a number with K, M, "
	 "G or nothing behind it"},
	{MODULE_PROXY, "--max-window=1K", NULL,
	 "option --max-window: \"1K\": expected bytes from 16K to 1G, a number with K, "
	 "M, G or nothing behind it"},
	{MODULE_PROXY, "--hello-wait=0", NULL,
	 "option --hello-wait: \"0\": expected a time from 1ms to 86400s, such as 500ms "
	 "or 30s"},
	{MODULE_PROXY, "--drain-wait 1h", NULL,
	 "option --drain-wait: \"1h\": expected a time from 0ms to 86400s, such as 500ms "
	 "or 30s"},
	{MODULE_PROXY, "--scheduler fast", NULL,
	 "option --scheduler: \"fast\": expected one of: weighted, adaptive"},
	{MODULE_PROXY, "--log-level=loud", NULL,
	 "option --log-level: \"loud\": expected error, warn, info or debug"},
	{MODULE_PROXY, "--log-format=xml", NULL,
	 "option --log-format: \"xml\": expected text or json"},
	{MODULE_PROXY, "--require-auth=yes", NULL,
	 "option --require-auth: \"yes\": expected true or false"},
	{MODULE_PROXY, "--key-file=/nonexistent/key", NULL,
	 "option --key-file: \"/nonexistent/key\": expected a file that can be read: No "
	 "such file or directory"},
	{MODULE_PROXY, "--key-file=/", NULL,
	 "option --key-file: \"/\": expected a file that can be read: Is a directory"},
	{MODULE_PROXY, "--check --key-file=" FILE_PATH, "123456789abcdef\n",
	 "option --key-file: \"" FILE_PATH "\": expected a key of 16 to 256 bytes in it, not of "
	 "15"},
	{MODULE_PROXY, "--check --key-file=" FILE_PATH, OF_256 "7",
	 "option --key-file: \"" FILE_PATH "\": expected a key of 16 to 256 bytes in it, not of "
	 "more"},
	{MODULE_PROXY, "--key-file=" FILE_PATH, OF_16 "\n" OF_256,
	 "option --key-file: \"" FILE_PATH "\": expected a key of 16 to 256 bytes in it, not of "
	 "more"},
	{MODULE_EGRESS, "--client-wait=1s", NULL,
	 "option --client-wait: unknown or cut too short, expected one of those that --help "
	 "lists"},
	{MODULE_PROXY, "--config=/nonexistent/conf", NULL,
	 "option --config: \"/nonexistent/conf\": expected a file that can be read: No "
	 "such file or directory"},
	{MODULE_PROXY, "--config=/", NULL,
	 "option --config: \"/\": expected a file that can be read: Is a directory"},
	{MODULE_INGRESS, "--memory-limit=16M --max-sessions=513 " GOOD_INGRESS, NULL,
	 "max-sessions: \"513\": expected at most 512 with a memory limit of 16M, half of "
	 "which covers the first 16384 bytes of each"},
	{MODULE_EGRESS, "--require-auth 1 1 10.0.0.1 7000 1 " L " 80 0 " L " 7009", NULL,
	 "option --require-auth, listen: \"10.0.0.1:7000\": expected a loopback address, "
	 "or a --key-file"},
	{MODULE_INGRESS, "--require-auth 1 1 :: 7000 1 " L " 80 1 fd00::1 7009", NULL,
	 "option --require-auth, comm: \"[fd00::1]:7009\": expected a loopback address, "
	 "or a --key-file"},
};

static void bad_options(void **state)
{
	(void)state;
	check_bad(bad_options_cases, COUNT(bad_options_cases));
}

#define AT(line) FILE_PATH ":" #line ": "
#define CONFIG "--config " FILE_PATH
#define LISTEN "listen = ( { host = \"" L "\"; port = 7000; ratio = 1; } );\n"
#define BACKEND "backend = ( { host = \"" L "\"; port = 7001; ratio = 1; } );\n"
#define COMM "comm = { host = \"" L "\"; port = 7009; };\n"

static const struct bad_case bad_file_cases[] = {
	{MODULE_PROXY, CONFIG, LISTEN BACKEND COMM "wrokers = 2;\n",
	 AT(4) "\"wrokers\": unknown key, expected perhaps \"workers\""},
	{MODULE_PROXY, CONFIG, "\nmemory-limit = 2;\n",
	 AT(2) "\"memory-limit\": unknown key, expected perhaps \"memory_limit\""},
	{MODULE_PROXY, CONFIG, "zebra = 2;\n",
	 AT(1) "\"zebra\": unknown key, expected one of those that mpp.conf(5) lists"},
	{MODULE_PROXY, CONFIG, "config = \"x\";\n",
	 AT(1) "\"config\": unknown key, expected one of those that mpp.conf(5) lists"},
	{MODULE_EGRESS, CONFIG, "client_wait = 0;\n",
	 AT(1) "\"client_wait\": unknown key, expected one of those that mpp.conf(5) lists"},
	{MODULE_PROXY, CONFIG, "key_file = \"/dev/null\";\n",
	 AT(1) "key_file: \"/dev/null\": expected a key of 16 to 256 bytes in it, not of 0"},
	{MODULE_PROXY, CONFIG, "backends = ();\n",
	 AT(1) "\"backends\": unknown key, expected perhaps \"backend\""},
	{MODULE_PROXY, CONFIG, "backend = ( { hots = \"" L "\"; } );\n",
	 AT(1) "backend 1: \"hots\": unknown key, expected perhaps \"host\""},
	{MODULE_PROXY, CONFIG, "workers = 0;\n",
	 AT(1) "workers: \"0\": expected a whole number from 1 to 64"},
	{MODULE_PROXY, CONFIG, "workers = 1.5;\n",
	 AT(1) "workers: \"1.5\": expected a whole number from 1 to 64"},
	{MODULE_PROXY, CONFIG, "workers = (1, 2);\n",
	 AT(1) "workers: expected one value, not a group or list"},
	{MODULE_PROXY, CONFIG, "workers = 1;\nworkers = 2;\n",
	 FILE_PATH ":2: duplicate setting name: expected libconfig's \"name = value;\""},
	{MODULE_PROXY, CONFIG, "workers = 1;\nlisten = ( {\n;\n",
	 FILE_PATH ":3: syntax error: expected libconfig's \"name = value;\""},
	{MODULE_PROXY, CONFIG, "require_auth = 1;\n",
	 AT(1) "require_auth: \"1\": expected true or false"},
	{MODULE_PROXY, CONFIG, "listen = { host = \"" L "\"; };\n",
	 AT(1) "listen: expected a list: ( { host = \"...\"; port = ...; }, ... )"},
	{MODULE_PROXY, CONFIG, "listen = ( 7 );\n",
	 AT(1) "listen 1: expected { host = \"...\"; port = ...; ratio = ...; }"},
	{MODULE_PROXY, CONFIG, "listen = ( );\n",
	 AT(1) "listen: 0 addresses: expected from 1 to 64"},
	{MODULE_INGRESS, CONFIG,
	 "listen = ( { host = \"a\"; port = 1; }, { host = \"b\"; port = 1; } );\n",
	 AT(1) "listen: 2 addresses: expected 1"},
	{MODULE_PROXY, CONFIG, LISTEN "backend = (\n{ host = \"a\"; port = 0x10000; } );\n",
	 AT(3) "backend 1: port: \"65536\": expected a port from 1 to 65535"},
	{MODULE_PROXY, CONFIG, "backend = ( { host = (1); } );\n",
	 AT(1) "backend 1: host: expected one value, not a group or list"},
	{MODULE_INGRESS, CONFIG, "backend = ( { host = \"a\"; port = 1; ratio = 0; } );\n",
	 AT(1) "backend 1: ratio: \"0\": expected a whole number from 1 to 1000000"},
	{MODULE_INGRESS, CONFIG, "backend = ( { host = \"a\"; port = 1; } );\n",
	 AT(1) "backend 1: expected a \"ratio\" in it"},
	{MODULE_INGRESS, CONFIG, "comm = { host = \"a\"; };\n",
	 AT(1) "comm: expected a \"port\" in it"},
	{MODULE_INGRESS, CONFIG, "comm = 7;\n",
	 AT(1) "comm: expected { host = \"...\"; port = ...; }"},
	{MODULE_INGRESS, CONFIG, "comm = { host = \"a\"; port = 1; ratio = 1; };\n",
	 AT(1) "comm: ratio: expected only host and port in comm"},
	{MODULE_PROXY, CONFIG,
	 "backend = ( { host = \"a\"; port = 1; ratio = 1; },\n"
	 "{ host = \"a\"; port = 1; ratio = 2; } );\n",
	 AT(2) "backend 2: \"a:1\": expected an address that is not backend 1 already"},
	{MODULE_PROXY, CONFIG, BACKEND COMM,
	 FILE_PATH ": no \"listen\" in it: expected that, or all addresses as arguments"},
	{MODULE_PROXY, CONFIG, LISTEN BACKEND,
	 FILE_PATH ": no \"comm\" in it: expected that, or all addresses as arguments"},
	{MODULE_PROXY, "--check " CONFIG " --max-sessions=9999",
	 "memory_limit = \"64M\";\n" LISTEN BACKEND COMM,
	 "max-sessions: \"9999\": expected at most 2048 with a memory limit of 64M, half "
	 "of which covers the first 16384 bytes of each"},
};

static void bad_file(void **state)
{
	(void)state;
	check_bad(bad_file_cases, COUNT(bad_file_cases));
}

static void run_good(struct run *r, enum module m, const char *line, const char *file)
{
	run(r, m, line, file);
	assert_string_equal(r->err, "");
	assert_string_equal(r->out, "");
	assert_int_equal(r->result, CONF_RUN);
	assert_int_equal(r->conf.module, m);
}

static void assert_address(const struct conf_address *a, const char *host, uint16_t port,
			   uint32_t ratio)
{
	assert_string_equal(a->host, host);
	assert_int_equal(a->port, port);
	assert_int_equal(a->ratio, ratio);
}

static void defaults(void **state)
{
	struct run r;
	const struct conf *c = &r.conf;

	(void)state;
	run_good(&r, MODULE_INGRESS, GOOD_INGRESS, NULL);
	assert_int_equal(c->listen_count, 1);
	assert_int_equal(c->backend_count, 2);
	assert_address(&c->listen[0], L, 7000, 0);
	assert_address(&c->backend[0], L, 7001, 1);
	assert_address(&c->backend[1], L, 7002, 2);
	assert_address(&c->comm, L, 7009, 0);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(c->workers, WORKERS_DEFAULT);
	assert_int_equal(c->memory_limit_bytes, MEMORY_LIMIT_DEFAULT);
	assert_int_equal(c->sessions_max, SESSIONS_MAX_DEFAULT);
	assert_int_equal(c->payload_max, FRAME_PAYLOAD_DEFAULT);
	assert_int_equal(c->window_max_bytes, WINDOW_MAX_BYTES);
	assert_string_equal(c->scheduler, "adaptive");
	assert_int_equal(c->client_wait_ms, CLIENT_WAIT_MS);
	assert_int_equal(c->session_wait_ms, SESSION_WAIT_MS);
	assert_int_equal(c->open_wait_ms, OPEN_WAIT_MS);
	assert_int_equal(c->reset_wait_ms, RESET_WAIT_MS);
	assert_int_equal(c->topo_wait_ms, TOPO_WAIT_MS);
	assert_int_equal(c->drain_wait_ms, DRAIN_WAIT_MS);
	assert_int_equal(c->hello_wait_ms, HELLO_WAIT_MS);
	assert_string_equal(c->key_file, "");
	assert_int_equal(c->key_len, 0);
	assert_false(c->require_auth);
}

static void good_positional(void **state)
{
	struct run r;

	(void)state;
	run_good(&r, MODULE_PROXY,
		 "2 1 [0:0::1] 7000 3 relay-1.example 65535 1000000 fd00::1 1 1 " L " 7009", NULL);
	assert_int_equal(r.conf.listen_count, 2);
	assert_int_equal(r.conf.backend_count, 1);
	assert_address(&r.conf.listen[0], "::1", 7000, 3);
	assert_address(&r.conf.listen[1], "relay-1.example", 65535, 1000000);
	assert_address(&r.conf.backend[0], "fd00::1", 1, 1);
	/* The same host with another port, and the same address on the other side, are fine. */
	run_good(&r, MODULE_EGRESS, "2 1 a 7000 1 a 7001 1 a 7000 0 a 7000", NULL);
	assert_address(&r.conf.backend[0], "a", 7000, 0);
}

static void good_most_addresses(void **state)
{
	char line[OUTPUT_MAX];
	struct run r;
	size_t at = (size_t)snprintf(line, sizeof(line), "1 %u a 1 0", CONF_ADDRESSES_MAX);

	(void)state;
	for (unsigned i = 1; i <= CONF_ADDRESSES_MAX; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, " b %u %u", i, i);
	snprintf(line + at, sizeof(line) - at, " c 1");
	run_good(&r, MODULE_INGRESS, line, NULL);
	assert_int_equal(r.conf.backend_count, CONF_ADDRESSES_MAX);
	assert_address(&r.conf.backend[CONF_ADDRESSES_MAX - 1], "b", CONF_ADDRESSES_MAX,
		       CONF_ADDRESSES_MAX);
}

static void assert_all_options(const struct conf *c)
{
	assert_int_equal(c->workers, 2);
	assert_string_equal(c->scheduler, "weighted");
	assert_int_equal(c->payload_max, 32 * KIB);
	assert_int_equal(c->window_max_bytes, 4 * MIB);
	assert_int_equal(c->memory_limit_bytes, 2048ull * MIB);
	assert_int_equal(c->sessions_max, 1000);
	assert_int_equal(c->client_wait_ms, 0);
	assert_int_equal(c->session_wait_ms, 60000);
	assert_int_equal(c->open_wait_ms, 500);
	assert_int_equal(c->reset_wait_ms, 7);
	assert_int_equal(c->topo_wait_ms, 1000);
	assert_int_equal(c->drain_wait_ms, 2000);
	assert_int_equal(c->hello_wait_ms, 3000);
	assert_string_equal(c->key_file, KEY_PATH);
	assert_int_equal(c->key_len, strlen(KEY_TEXT));
	assert_memory_equal(c->key, KEY_TEXT, strlen(KEY_TEXT));
	assert_true(c->require_auth);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
}

static void good_every_option(void **state)
{
	struct run r;

	(void)state;
	run_good(&r, MODULE_INGRESS,
		 "--workers=2 --scheduler weighted --max-frame=32K --max-window=4m "
		 "--memory-limit=2G --max-sessions=1000 --client-wait=0 --session-wait=60s "
		 "--open-wait=500ms --reset-wait=7 --topo-wait=1s --drain-wait=2s "
		 "--hello-wait=3s --key-file=" KEY_PATH " --require-auth --log-level=debug "
		 "--log-format=json " GOOD_INGRESS,
		 NULL);
	assert_all_options(&r.conf);
}

static void good_every_key(void **state)
{
	struct run r;

	(void)state;
	run_good(&r, MODULE_PROXY, CONFIG,
		 "workers = 2; scheduler = \"weighted\"; max_frame = 32768; max_window = \"4M\";\n"
		 "memory_limit = 2147483648L; max_sessions = 1000; client_wait = 0;\n"
		 "session_wait = \"60s\"; open_wait = \"500ms\"; reset_wait = 7;\n"
		 "topo_wait = 1000; drain_wait = \"2s\"; hello_wait = \"3s\";\n"
		 "key_file = \"" KEY_PATH "\"; require_auth = true; log_level = \"debug\";\n"
		 "log_format = \"json\";\n" LISTEN BACKEND COMM);
	assert_all_options(&r.conf);
	assert_int_equal(r.conf.listen_count, 1);
	assert_address(&r.conf.listen[0], L, 7000, 1);
	assert_address(&r.conf.backend[0], L, 7001, 1);
	assert_address(&r.conf.comm, L, 7009, 0);
}

static void the_longest_key(void **state)
{
	struct run r;

	(void)state;
	run_good(&r, MODULE_PROXY, "--key-file=" FILE_PATH " 1 1 a 1 1 b 1 1 c 1", OF_256 "\n");
	assert_int_equal(r.conf.key_len, 256);
	assert_memory_equal(r.conf.key, OF_256, 256);
}

static void command_line_goes_over_file(void **state)
{
	static const char file[] =
		"workers = 2; drain_wait = \"1s\"; require_auth = true;\n" LISTEN BACKEND COMM;
	struct run r;

	(void)state;
	run_good(&r, MODULE_INGRESS, "--workers=3 " CONFIG " --require-auth=false", file);
	assert_int_equal(r.conf.workers, 3);
	assert_int_equal(r.conf.drain_wait_ms, 1000);
	assert_false(r.conf.require_auth);
	assert_int_equal(r.conf.backend_count, 1);
	run_good(&r, MODULE_INGRESS, CONFIG " -- 1 1 b 1 0 b 2 5 localhost 3", file);
	assert_int_equal(r.conf.workers, 2);
	assert_int_equal(r.conf.listen_count, 1);
	assert_int_equal(r.conf.backend_count, 1);
	assert_address(&r.conf.listen[0], "b", 1, 0);
	assert_address(&r.conf.backend[0], "b", 2, 5);
	assert_address(&r.conf.comm, "localhost", 3, 0);
}

static void memory_and_sessions_follow_each_other(void **state)
{
	struct run r;

	(void)state;
	run_good(&r, MODULE_INGRESS, "--memory-limit=16M " GOOD_INGRESS, NULL);
	assert_int_equal(r.conf.sessions_max, 512);
	run_good(&r, MODULE_INGRESS, "--max-sessions=16384 " GOOD_INGRESS, NULL);
	assert_int_equal(r.conf.memory_limit_bytes, 512ull * MIB);
	run_good(&r, MODULE_INGRESS, "--max-sessions=10 " GOOD_INGRESS, NULL);
	assert_int_equal(r.conf.memory_limit_bytes, MEMORY_LIMIT_DEFAULT);
	run_good(&r, MODULE_INGRESS, "--memory-limit=16M --max-sessions=512 " GOOD_INGRESS, NULL);
	assert_int_equal(r.conf.sessions_max, 512);
	assert_int_equal(r.conf.memory_limit_bytes, MEMORY_LIMIT_MIN);
}

static void run_done(struct run *r, enum module m, const char *line, const char *file)
{
	run(r, m, line, file);
	assert_string_equal(r->err, "");
	assert_int_equal(r->result, CONF_DONE);
}

static void check_help_version(void **state)
{
	struct run r;

	(void)state;
	run_done(&r, MODULE_INGRESS, "--check " GOOD_INGRESS, NULL);
	assert_string_equal(r.out, "configuration is good: ingress, 1 listen, 2 backend, comm " L
				   ":7009, scheduler adaptive, workers 1, memory limit 256M, max "
				   "sessions 8192\n");
	run_done(&r, MODULE_EGRESS, "--version", NULL);
	assert_int_equal(strncmp(r.out, "mpp_adv_egress ", 15), 0);
	run_done(&r, MODULE_INGRESS, "--help --nonsense", NULL);
	assert_non_null(strstr(r.out, "--session-wait=TIME    sessions outlive the loss of all "
				      "paths [30s]\n"));
	assert_non_null(strstr(r.out, "one of: weighted adaptive\n"));
	run_done(&r, MODULE_PROXY, "--help", NULL);
	assert_null(strstr(r.out, "--session-wait"));
	assert_null(strstr(r.out, "--scheduler"));
	assert_non_null(strstr(r.out, "understood):\n  --topo-wait=TIME"));
	run_done(&r, MODULE_EGRESS, "--help", NULL);
	assert_null(strstr(r.out, "--client-wait"));
	assert_non_null(strstr(r.out, "understood):\n  --session-wait=TIME"));
}

/* The three files name each other's ports. */
static void examples_fit_together(void **state)
{
	struct run in, proxy, out;

	(void)state;
	run_good(&in, MODULE_INGRESS, "--config configs/ingress.conf", NULL);
	run_good(&proxy, MODULE_PROXY, "--config configs/proxy.conf", NULL);
	run_good(&out, MODULE_EGRESS, "--config configs/egress.conf", NULL);
	assert_int_equal(in.conf.backend_count, 3);
	assert_int_equal(out.conf.listen_count, 3);
	assert_memory_equal(&in.conf.backend[0], &out.conf.listen[0], sizeof(in.conf.backend[0]));
	for (size_t i = 0; i < 2; i++) {
		assert_memory_equal(&in.conf.backend[1 + i], &proxy.conf.listen[i],
				    sizeof(in.conf.backend[0]));
		assert_memory_equal(&proxy.conf.backend[i], &out.conf.listen[1 + i],
				    sizeof(in.conf.backend[0]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_positional),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(bad_file),
		cmocka_unit_test(defaults),
		cmocka_unit_test(good_positional),
		cmocka_unit_test(good_most_addresses),
		cmocka_unit_test(good_every_option),
		cmocka_unit_test(good_every_key),
		cmocka_unit_test(the_longest_key),
		cmocka_unit_test(command_line_goes_over_file),
		cmocka_unit_test(memory_and_sessions_follow_each_other),
		cmocka_unit_test(check_help_version),
		cmocka_unit_test(examples_fit_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
