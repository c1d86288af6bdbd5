/* Fuzz target for configuration files: whatever the bytes, each module takes them or refuses them,
 * and what it takes keeps the promises of conf.h. The lines of the refusals go nowhere: glibc lets
 * a program put another stream in the place of stderr. */
#include "common/conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets a string that the file ends in. It is read once, and then the program
 * ends, so that is not worth more than this line. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_list(const struct conf_address *list, size_t count)
{
	char host[CONF_HOST_MAX];

	require(count >= 1 && count <= CONF_ADDRESSES_MAX);
	for (size_t i = 0; i < count; i++) {
		require(parse_host(list[i].host, host) == 0 && strcmp(host, list[i].host) == 0);
		require(list[i].port > 0 && list[i].ratio <= RATIO_MAX);
	}
}

static void check_conf(const struct conf *c)
{
	check_list(c->listen, c->listen_count);
	check_list(c->backend, c->backend_count);
	check_list(&c->comm, 1);
	for (size_t i = 0; i < c->listen_count; i++)
		require(c->listen[i].ratio > 0 || c->module == MODULE_INGRESS);
	for (size_t i = 0; i < c->backend_count; i++)
		require(c->backend[i].ratio > 0 || c->module == MODULE_EGRESS);
	require(c->workers >= 1 && c->workers <= WORKERS_MAX);
	require(c->memory_limit_bytes >= MEMORY_LIMIT_MIN);
	require(c->memory_limit_bytes / 2 / FIRST_CREDIT_BYTES >= c->sessions_max);
	require(c->key_len == 0 || (c->key_len >= KEY_BYTES_MIN && c->key_len <= KEY_BYTES_MAX));
	require(c->payload_max >= FRAME_PAYLOAD_MIN && c->payload_max <= FRAME_PAYLOAD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const schedulers[] = {"weighted", "adaptive", NULL};
	char path[64], program[] = "conf_fuzz", option[] = "--config";
	char *argv[] = {program, option, path, NULL};
	FILE *sink, *saved = stderr;
	struct conf conf;
	int fd;

	/* Other files are not part of the input. */
	if (memmem(data, size, "@include", 8))
		return 0;
	sink = fopen("/dev/null", "we");
	require(sink);
	fd = memfd_create("conf_fuzz", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	stderr = sink;
	for (enum module m = MODULE_INGRESS; m <= MODULE_EGRESS; m++)
		if (conf_parse(m, 3, argv, schedulers, &conf) == CONF_RUN)
			check_conf(&conf);
	stderr = saved;
	fclose(sink);
	close(fd);
	return 0;
}
