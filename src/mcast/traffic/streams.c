/* Which streams: see streams.h. */
#include "mcast/traffic/streams.h"

#include "common/conf/conf.h"
#include "common/conf/option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void streams_init(struct streams *s)
{
	*s = (struct streams){.count = 1, .group_step = 1, .port_step = 1};
}

static enum exit_code set_group(struct streams *s, const char *text)
{
	struct ip group;

	if (ip_parse(text, &group) || !ip_is_multicast(&group))
		return fail_exit("--group \"%s\": expected a multicast address, in 224.0.0.0/4 or "
				 "ff00::/8",
				 text);
	s->group = group;
	return EXIT_DONE;
}

static enum exit_code set_source(struct streams *s, const char *text)
{
	struct ip source;

	if (ip_parse(text, &source) || ip_is_multicast(&source) || ip_is_unspecified(&source) ||
	    ip_is_broadcast(&source))
		return fail_exit("--source \"%s\": expected the address of a host", text);
	s->source = source;
	return EXIT_DONE;
}

static enum exit_code set_interface(struct streams *s, const char *text)
{
	s->interface_index = if_nametoindex(text);
	if (s->interface_index == 0 || strlen(text) >= sizeof(s->interface))
		return fail_exit("--interface \"%s\": expected the name of an interface that is "
				 "there",
				 text);
	snprintf(s->interface, sizeof(s->interface), "%s", text);
	return EXIT_DONE;
}

enum exit_code streams_option(struct streams *s, int option, const char *text)
{
	uint64_t value = 0;
	enum exit_code code = EXIT_DONE;

	switch (option) {
	case 'g':
		return set_group(s, text);
	case 'S':
		return set_source(s, text);
	case 'i':
		return set_interface(s, text);
	case 'p':
		code = option_count("port", text, 1, UINT16_MAX, &value);
		s->port = (uint16_t)value;
		break;
	case 'n':
		code = option_count("streams", text, 1, TRAFFIC_STREAMS_MAX, &value);
		s->count = (uint32_t)value;
		break;
	case STREAMS_GROUP_STEP:
		code = option_count("group-step", text, 0, UINT32_MAX, &value);
		s->group_step = (uint32_t)value;
		break;
	case STREAMS_PORT_STEP:
		code = option_count("port-step", text, 0, UINT16_MAX, &value);
		s->port_step = (uint32_t)value;
		break;
	}
	return code;
}

/* As a number of as many bytes as the family has. False: beyond the last one. */
static bool add(struct ip *ip, uint64_t n)
{
	for (size_t i = ip->family == IP_V4 ? 4 : 16; i-- > 0;) {
		n += ip->bytes[i];
		ip->bytes[i] = (uint8_t)n;
		n >>= 8;
	}
	return n == 0;
}

int streams_group(const struct streams *s, uint32_t index, struct ip *ret)
{
	struct ip group = s->group;

	if (!add(&group, (uint64_t)s->group_step * index) || !ip_is_multicast(&group))
		return -ERANGE;
	*ret = group;
	return 0;
}

static enum exit_code check_steps(const struct streams *s)
{
	uint64_t last_port = s->port + (uint64_t)s->port_step * (s->count - 1);
	char text[IP_TEXT_MAX];
	struct ip last;

	if (last_port > UINT16_MAX)
		return fail_exit("--port %u: with %u streams the last port is %llu, expected at "
				 "most %u; --port-step 0 gives all streams the same",
				 s->port, s->count, (unsigned long long)last_port, UINT16_MAX);
	ip_text(&s->group, text);
	if (streams_group(s, s->count - 1, &last))
		return fail_exit("--group \"%s\": the last of %u streams is no multicast address "
				 "any more; expected a lower one, or a smaller --group-step",
				 text, s->count);
	if (s->count > 1 && s->group_step == 0 && s->port_step == 0)
		return fail_exit("--group-step 0: expected 1 or more where --port-step is 0: "
				 "streams must differ");
	return EXIT_DONE;
}

enum exit_code streams_check(struct streams *s)
{
	if (s->group.family == IP_NONE)
		return fail_exit("--group: expected, a multicast address; --help tells more");
	if (s->port == 0)
		return fail_exit("--port: expected, 1 to 65535; --help tells more");
	if (s->interface_index == 0)
		return fail_exit("--interface: expected, the name of one; --help tells more");
	if (s->source.family != IP_NONE && s->source.family != s->group.family)
		return fail_exit("--source: expected an address of the same family as --group");
	return check_steps(s);
}

socklen_t streams_socket_address(const struct ip *ip, uint16_t port, unsigned scope,
				 union stream_address *ret)
{
	*ret = (union stream_address){0};
	if (ip->family == IP_V4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		memcpy(&ret->v4.sin_addr, ip->bytes, sizeof(ret->v4.sin_addr));
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	ret->v6.sin6_scope_id = scope;
	memcpy(&ret->v6.sin6_addr, ip->bytes, sizeof(ret->v6.sin6_addr));
	return sizeof(ret->v6);
}

static uint16_t port_of(const struct streams *s, uint32_t index)
{
	return (uint16_t)(s->port + s->port_step * index);
}

socklen_t streams_address(const struct streams *s, uint32_t index, union stream_address *ret)
{
	struct ip group = s->group;

	streams_group(s, index, &group);
	return streams_socket_address(&group, port_of(s, index), s->interface_index, ret);
}

void streams_text(const struct streams *s, uint32_t index, char ret_text[HOSTPORT_TEXT_MAX])
{
	struct ip group = s->group;
	char text[IP_TEXT_MAX];

	streams_group(s, index, &group);
	ip_text(&group, text);
	hostport_text(text, port_of(s, index), ret_text);
}
