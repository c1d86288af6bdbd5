/* Addresses by their number: see sources.h. An IPv4 or IPv6 address is counted by its lowest 32
 * bits; what is above them in a larger prefix stays as it is, 4 billion are enough. */
#include "echo/client/sources.h"

#include "common/base/fail.h"
#include "common/base/minmax.h"
#include "common/conf/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define V4_BITS 32u
#define V6_BITS 128u
/* A prefix of so many host bits less has no address that stands for all of them. */
#define POINT_TO_POINT_BITS 1u

static uint32_t low_word(const union address *a)
{
	uint32_t word;

	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr);
	memcpy(&word, &a->v6.sin6_addr.s6_addr[12], sizeof(word));
	return ntohl(word);
}

static void set_low_word(union address *a, uint32_t word)
{
	word = htonl(word);
	if (a->any.sa_family == AF_INET)
		a->v4.sin_addr.s_addr = word;
	else
		memcpy(&a->v6.sin6_addr.s6_addr[12], &word, sizeof(word));
}

/* The number in the text is good: sets the first address and the count. */
static void count_hosts(struct sources *s, unsigned host_bits)
{
	bool is_v4 = s->first.any.sa_family == AF_INET;
	uint32_t mask = host_bits >= 32 ? UINT32_MAX : (1u << host_bits) - 1;
	uint32_t word = low_word(&s->first), last = word | mask;
	bool is_whole = (word & mask) == 0;

	if (host_bits > POINT_TO_POINT_BITS) {
		word += is_whole;
		last -= is_v4;
	}
	set_low_word(&s->first, word);
	s->count = word > last ? 0 : (uint32_t)min_u64((uint64_t)last - word + 1, UINT32_MAX);
}

static int parse_literal(const char *text, union address *ret)
{
	*ret = (union address){.any.sa_family = AF_UNSPEC};
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		return 0;
	}
	memset(ret, 0, sizeof(*ret));
	ret->v6.sin6_family = AF_INET6;
	return inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1 ? 0 : -EINVAL;
}

int sources_parse(const char *text, struct sources *ret, char ret_why[WHY_BYTES_MAX])
{
	char literal[INET6_ADDRSTRLEN] = "";
	const char *slash = strchr(text, '/');
	struct sources s = {.count = 0};
	uint64_t bits = 0;
	unsigned width;

	if (!slash || (size_t)(slash - text) >= sizeof(literal))
		return fail_why(ret_why, "expected an address, \"/\" and a length, as 10.1.0.0/16");
	memcpy(literal, text, (size_t)(slash - text));
	if (parse_literal(literal, &s.first))
		return fail_why(ret_why, "\"%s\" is no IPv4 or IPv6 address", literal);
	width = s.first.any.sa_family == AF_INET ? V4_BITS : V6_BITS;
	if (parse_u64(slash + 1, 0, width, &bits))
		return fail_why(ret_why, "expected a length from 0 to %u behind the \"/\"", width);
	count_hosts(&s, width - (unsigned)bits);
	if (s.count == 0)
		return fail_why(ret_why, "there is no address from %s on", literal);
	*ret = s;
	return 0;
}

union address sources_nth(const struct sources *s, uint32_t index)
{
	union address a = s->first;

	set_low_word(&a, low_word(&a) + index);
	return a;
}
