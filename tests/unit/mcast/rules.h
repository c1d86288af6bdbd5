/* Parts of rules from text, for the tests. */
#ifndef TEST_RULES_H
#define TEST_RULES_H

#include "mcast/core/rule.h"

#include <stdio.h>
#include <stdlib.h>

/* "" for none. */
static inline struct ip ip(const char *text)
{
	struct ip ip = {.family = IP_NONE};

	if (text[0] && ip_parse(text, &ip))
		abort();
	return ip;
}

static inline struct rule_input input(const char *interface, const char *group, uint16_t port,
				      const char *source)
{
	struct rule_input in = {.group = ip(group), .port = port, .source = ip(source)};

	snprintf(in.interface, sizeof(in.interface), "%s", interface);
	return in;
}

static inline struct rule_output output(const char *interface, const char *address, uint16_t port)
{
	struct rule_output out = {.address = ip(address), .port = port};

	snprintf(out.interface, sizeof(out.interface), "%s", interface);
	return out;
}

#endif
