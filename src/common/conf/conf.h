/* What a module is told at start: positional arguments, GNU options and a libconfig file, all
 * checked, as one plain struct. file.c is the only file that includes libconfig.h. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "common/base/limits.h"
#include "common/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum module { MODULE_INGRESS, MODULE_PROXY, MODULE_EGRESS };

/* "ingress", "proxy", "egress" */
const char *module_name(enum module m);

#define CONF_ADDRESSES_MAX PATHS_MAX
#define CONF_HOST_MAX 256

/* host: IPv4, IPv6 (no brackets) or a name; it is looked up when it is used, not here. */
struct conf_address {
	char host[CONF_HOST_MAX];
	uint16_t port;
	uint32_t ratio; /* expected throughput, the weight of the split; 0 where nothing uses it */
};

/* The same port and host; names do not differ by case (RFC 4343). */
bool conf_address_is_same(const struct conf_address *a, const struct conf_address *b);
bool conf_address_is_loopback(const struct conf_address *a);

struct conf {
	enum module module;
	struct conf_address listen[CONF_ADDRESSES_MAX];
	size_t listen_count;
	struct conf_address backend[CONF_ADDRESSES_MAX];
	size_t backend_count;
	struct conf_address comm; /* its ratio is unused */

	enum log_level log_level;
	enum log_format log_format;
	uint32_t workers;
	uint64_t memory_limit_bytes; /* of the process */
	uint32_t sessions_max;	     /* of the process */
	uint32_t payload_max;	     /* largest DATA payload offered */
	uint32_t window_max_bytes;   /* of one session */
	char scheduler[32];	 /* checked against scheduler_names by the caller of conf_parse */
	uint32_t client_wait_ms; /* 0: refuse clients at once while there is no path */
	uint32_t session_wait_ms, open_wait_ms, reset_wait_ms, topo_wait_ms, drain_wait_ms;
	uint32_t hello_wait_ms;
	char key_file[256];	    /* "" : none */
	uint8_t key[KEY_BYTES_MAX]; /* what it holds */
	size_t key_len;		    /* 0: none */
	bool require_auth;
};

enum conf_result {
	CONF_RUN,    /* go on */
	CONF_DONE,   /* --help, --version or a good --check: exit 0 */
	CONF_FAILED, /* one line was printed to stderr: exit 2 */
};

/* Parses a module's command line. Options first (also from --config FILE, which the command
 * line overrides), then the fixed positional arguments:
 *   <listen_num> <backend_num> {<ip> <port> <ratio>}... <comm_ip> <comm_port>
 * which may be left out altogether when the file has them. `ret` is filled on CONF_RUN.
 * `schedulers` is the NULL-terminated list of names that --scheduler takes. */
enum conf_result conf_parse(enum module m, int argc, char **argv, const char *const *schedulers,
			    struct conf *ret);

/* The names with ", " between them, to stand behind "expected one of"; cut where they do not fit.
 */
#define NAMES_TEXT_MAX 256
void names_text(const char *const *names, char ret_text[NAMES_TEXT_MAX]);

/* Strict decimal (no sign, no space, no trailing text): 0, -EINVAL or -ERANGE. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* 0 or -EINVAL: an IPv4 literal, an IPv6 literal (brackets allowed; it comes out without them, in
 * the form of RFC 5952, so that equal addresses are equal texts) or a host name by RFC 1123. */
int parse_host(const char *text, char ret_host[CONF_HOST_MAX]);

#endif
