/* Addresses: see ip.h. */
#include "mcast/core/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

int ip_parse(const char *text, struct ip *ret)
{
	struct ip ip = {.family = IP_V4};
	uint8_t v6[16];

	if (inet_pton(AF_INET, text, ip.bytes) == 1) {
		*ret = ip;
		return 0;
	}
	if (inet_pton(AF_INET6, text, v6) != 1)
		return -EINVAL;
	if (memcmp(v6, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		memcpy(ip.bytes, v6 + sizeof(mapped_prefix), 4);
	} else {
		ip.family = IP_V6;
		memcpy(ip.bytes, v6, sizeof(v6));
	}
	*ret = ip;
	return 0;
}

void ip_text(const struct ip *ip, char ret_text[IP_TEXT_MAX])
{
	ret_text[0] = '\0';
	if (ip->family != IP_NONE)
		inet_ntop(ip->family == IP_V4 ? AF_INET : AF_INET6, ip->bytes, ret_text,
			  IP_TEXT_MAX);
}

bool ip_is_same(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_is_multicast(const struct ip *ip)
{
	if (ip->family == IP_V4)
		return ip->bytes[0] >> 4 == 0xe;
	return ip->family == IP_V6 && ip->bytes[0] == 0xff;
}

bool ip_is_unspecified(const struct ip *ip)
{
	static const uint8_t zeros[16];

	return ip->family != IP_NONE && memcmp(ip->bytes, zeros, sizeof(zeros)) == 0;
}

bool ip_is_broadcast(const struct ip *ip)
{
	static const uint8_t ones[4] = {0xff, 0xff, 0xff, 0xff};

	return ip->family == IP_V4 && memcmp(ip->bytes, ones, sizeof(ones)) == 0;
}

bool ip_is_link_local_v6(const struct ip *ip)
{
	return ip->family == IP_V6 && ip->bytes[0] == 0xfe && ip->bytes[1] >> 6 == 2;
}
