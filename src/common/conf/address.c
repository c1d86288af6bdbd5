/* Addresses with their ratios, and the rules that depend on the module: how many it takes on
 * each side, and on which side the ratio is a weight that must not be 0. */
#include "common/base/hostport.h"
#include "common/conf/draft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

const char *side_name(enum side s)
{
	return s == SIDE_LISTEN ? "listen" : "backend";
}

/* What a module does not split it has once: an ingress its clients' side, an egress the server. */
static bool side_is_split(enum module m, enum side s)
{
	switch (m) {
	case MODULE_INGRESS:
		return s == SIDE_BACKEND;
	case MODULE_PROXY:
		return true;
	case MODULE_EGRESS:
		return s == SIDE_LISTEN;
	}
	return false;
}

size_t side_max(enum module m, enum side s)
{
	return side_is_split(m, s) ? CONF_ADDRESSES_MAX : 1;
}

bool side_ratio_counts(enum module m, enum side s)
{
	return side_is_split(m, s);
}

struct conf_address *side_list(struct draft *d, enum side s, size_t **ret_count)
{
	*ret_count = s == SIDE_LISTEN ? &d->conf.listen_count : &d->conf.backend_count;
	return s == SIDE_LISTEN ? d->conf.listen : d->conf.backend;
}

int address_set_host(const struct draft *d, struct conf_address *a, const char *where,
		     const char *text)
{
	if (parse_host(text, a->host))
		return draft_fail(d, where, text,
				  "expected an IPv4 address, an IPv6 address or a host name");
	return 0;
}

int address_set_port(const struct draft *d, struct conf_address *a, const char *where,
		     const char *text)
{
	uint64_t port;

	if (parse_u64(text, 1, UINT16_MAX, &port))
		return draft_fail(d, where, text, "expected a port from 1 to %d", UINT16_MAX);
	a->port = (uint16_t)port;
	return 0;
}

int address_set_ratio(const struct draft *d, struct conf_address *a, enum side s, const char *where,
		      const char *text)
{
	uint64_t min = side_ratio_counts(d->conf.module, s), ratio;

	if (parse_u64(text, min, RATIO_MAX, &ratio))
		return draft_fail(d, where, text, "expected a whole number from %" PRIu64 " to %u",
				  min, RATIO_MAX);
	a->ratio = (uint32_t)ratio;
	return 0;
}

bool conf_address_is_same(const struct conf_address *a, const struct conf_address *b)
{
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

int address_add(struct draft *d, enum side s, const char *where, const struct conf_address *a)
{
	size_t *count;
	struct conf_address *list = side_list(d, s, &count);
	char text[HOSTPORT_TEXT_MAX];

	for (size_t i = 0; i < *count; i++) {
		if (!conf_address_is_same(&list[i], a))
			continue;
		hostport_text(a->host, a->port, text);
		return draft_fail(d, where, text, "expected an address that is not %s %zu already",
				  side_name(s), i + 1);
	}
	list[(*count)++] = *a;
	return 0;
}

bool conf_address_is_loopback(const struct conf_address *a)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, a->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(a->host, "::1") == 0 || strcasecmp(a->host, "localhost") == 0;
}
