/* Rules as values: copied, compared, named. See rule.h; rule_check.c says which are good. */
#include "mcast/core/rule.h"

#include "common/base/hostport.h"
#include "mcast/core/memory.h"
#include "mcast/core/siphash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HASH_TEXT_LEN 17 /* "~" and 16 digits */

static const char *const match_names[] = {
	[RULE_MATCH_NONE] = "none",
	[RULE_MATCH_RTP] = "rtp",
	[RULE_MATCH_CONTENT] = "content",
};

void rule_copy(const struct rule *from, struct rule *ret)
{
	*ret = *from;
	ret->outputs = memory_new(from->output_count, sizeof(*ret->outputs));
	for (size_t i = 0; i < from->output_count; i++)
		ret->outputs[i] = from->outputs[i];
}

void rule_done(struct rule *r)
{
	if (!r)
		return;
	free(r->outputs);
	*r = (struct rule){0};
}

bool rule_input_is_same(const struct rule_input *a, const struct rule_input *b)
{
	return strcmp(a->interface, b->interface) == 0 && ip_is_same(&a->group, &b->group) &&
	       a->port == b->port && ip_is_same(&a->source, &b->source);
}

bool rule_output_is_same(const struct rule_output *a, const struct rule_output *b)
{
	return ip_is_same(&a->address, &b->address) && a->port == b->port &&
	       strcmp(a->interface, b->interface) == 0 && a->ttl == b->ttl &&
	       ip_is_same(&a->source, &b->source);
}

bool rule_is_same(const struct rule *a, const struct rule *b)
{
	if (strcmp(a->name, b->name) != 0 || a->match != b->match ||
	    a->input_count != b->input_count || a->output_count != b->output_count)
		return false;
	for (size_t i = 0; i < a->input_count; i++)
		if (!rule_input_is_same(&a->inputs[i], &b->inputs[i]))
			return false;
	for (size_t i = 0; i < a->output_count; i++)
		if (!rule_output_is_same(&a->outputs[i], &b->outputs[i]))
			return false;
	return true;
}

uint64_t rule_name_hash(const char *name)
{
	static const uint64_t key[2] = {0};

	return siphash(key, name, strnlen(name, RULE_NAME_MAX));
}

void rule_name_default(const struct rule *r, char ret_name[RULE_NAME_MAX])
{
	static const uint64_t key[2] = {0};
	const struct rule_input *in = &r->inputs[0];
	char source[IP_TEXT_MAX], group[IP_TEXT_MAX], place[HOSTPORT_TEXT_MAX];
	char name[IP_TEXT_MAX + HOSTPORT_TEXT_MAX + RULE_INTERFACE_MAX];
	size_t len;

	ip_text(&in->source, source);
	ip_text(&in->group, group);
	hostport_text(group, in->port, place);
	len = (size_t)snprintf(name, sizeof(name), "%s%s%s@%s", source, source[0] ? "/" : "", place,
			       in->interface);
	snprintf(ret_name, RULE_NAME_MAX, "%.*s", RULE_NAME_MAX - 1, name);
	if (len >= RULE_NAME_MAX)
		snprintf(ret_name + RULE_NAME_MAX - 1 - HASH_TEXT_LEN, HASH_TEXT_LEN + 1,
			 "~%016" PRIx64, siphash(key, name, len));
}

const char *rule_match_name(enum rule_match m)
{
	return match_names[m];
}

int rule_match_parse(const char *text, enum rule_match *ret)
{
	for (enum rule_match m = RULE_MATCH_NONE; m <= RULE_MATCH_CONTENT; m++) {
		if (strcmp(text, match_names[m]) == 0) {
			*ret = m;
			return 0;
		}
	}
	return -EINVAL;
}
