/* Which rules are good, looked at alone: see rule_check in rule.h. */
#include "mcast/core/rule.h"

#include "common/base/fail.h"
#include "mcast/core/place.h"
#include "mcast/core/show.h"

#include <errno.h>
#include <string.h>

/* Twice RULE_OUTPUTS_MAX, a power of two: slots of the table that finds an output's double. */
#define DOUBLE_SLOTS 1024u

_Static_assert(DOUBLE_SLOTS >= 2 * RULE_OUTPUTS_MAX, "the table is never more than half full");

/* Which part of the rule is looked at, "outputs[2]", and where a refusal goes. */
struct spot {
	const char *list;
	size_t index;
	char *why;
};

static int fail_ip(const struct spot *s, const char *field, const struct ip *ip,
		   const char *expected)
{
	char text[IP_TEXT_MAX];

	ip_text(ip, text);
	return fail_why(s->why, "%s[%zu].%s: %s, expected %s", s->list, s->index, field,
			text[0] ? text : "missing", expected);
}

static bool is_plain(const char *text, const char *forbidden)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr(forbidden, *text))
			return false;
	return true;
}

/* An array of `max` bytes that holds a text which is not empty. */
static bool is_name(const char *text, size_t max, const char *forbidden)
{
	return memchr(text, '\0', max) && text[0] && is_plain(text, forbidden);
}

static int check_name(const char *name, char *ret_why)
{
	char shown[SHOW_BYTES_MAX];

	if (is_name(name, RULE_NAME_MAX, "\"'`\\"))
		return 0;
	return fail_why(ret_why,
			"name: %s, expected 1 to %d printable characters without spaces, quotes "
			"and backslashes",
			show(name, RULE_NAME_MAX, shown), RULE_NAME_MAX - 1);
}

static int check_interface(const struct spot *s, const char *name)
{
	char shown[SHOW_BYTES_MAX];

	if (is_name(name, RULE_INTERFACE_MAX, "\"'`\\/:") && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0)
		return 0;
	return fail_why(s->why,
			"%s[%zu].interface: %s, expected an interface's name of 1 to %d bytes",
			s->list, s->index, show(name, RULE_INTERFACE_MAX, shown),
			RULE_INTERFACE_MAX - 1);
}

static int check_port(const struct spot *s, uint16_t port)
{
	return port ? 0
		    : fail_why(s->why, "%s[%zu].port: 0, expected 1 to 65535", s->list, s->index);
}

/* A source may be missing; else it is a host's address, of the family of `other`. */
static int check_source(const struct spot *s, const struct ip *source, const struct ip *other)
{
	if (source->family == IP_NONE)
		return 0;
	if (source->family != other->family)
		return fail_ip(s, "source", source,
			       other->family == IP_V4 ? "IPv4 as the packets"
						      : "IPv6 as the packets");
	if (ip_is_multicast(source) || ip_is_unspecified(source) || ip_is_broadcast(source))
		return fail_ip(s, "source", source, "a host's address");
	return 0;
}

static int check_input(const struct rule_input *in, size_t i, char *ret_why)
{
	struct spot s = {.list = "inputs", .index = i};

	s.why = ret_why;
	if (!ip_is_multicast(&in->group))
		return fail_ip(&s, "group", &in->group, "a multicast group");
	if (check_interface(&s, in->interface) || check_port(&s, in->port))
		return -EINVAL;
	return check_source(&s, &in->source, &in->group);
}

static int check_inputs(const struct rule *r, char *ret_why)
{
	if (r->input_count < 1 || r->input_count > RULE_INPUTS_MAX)
		return fail_why(ret_why, "inputs: %zu, expected 1 or %d", r->input_count,
				RULE_INPUTS_MAX);
	for (size_t i = 0; i < r->input_count; i++)
		if (check_input(&r->inputs[i], i, ret_why))
			return -EINVAL;
	if (r->input_count == 2 && rule_input_is_same(&r->inputs[0], &r->inputs[1]))
		return fail_why(ret_why, "inputs[1]: the same as inputs[0], expected another one");
	return 0;
}

static int check_match(const struct rule *r, char *ret_why)
{
	if (r->input_count == 1 && r->match != RULE_MATCH_NONE)
		return fail_why(ret_why, "match: %s, expected none with one input",
				rule_match_name(r->match));
	if (r->input_count == 2 && r->match == RULE_MATCH_NONE)
		return fail_why(ret_why, "match: none, expected rtp or content with two inputs");
	return 0;
}

static bool needs_interface(const struct ip *address)
{
	return ip_is_multicast(address) || ip_is_link_local_v6(address);
}

static int check_output(const struct rule_output *out, size_t i, char *ret_why)
{
	struct spot s = {.list = "outputs", .index = i};

	s.why = ret_why;
	if (out->address.family == IP_NONE || ip_is_unspecified(&out->address) ||
	    ip_is_broadcast(&out->address))
		return fail_ip(&s, "address", &out->address, "a group or a host's address");
	if (check_port(&s, out->port))
		return -EINVAL;
	if ((out->interface[0] || needs_interface(&out->address)) &&
	    check_interface(&s, out->interface))
		return -EINVAL;
	return check_source(&s, &out->source, &out->address);
}

static int check_no_loop(const struct rule *r, size_t i, char *ret_why)
{
	struct place out = place_of_output(&r->outputs[i]);

	for (size_t k = 0; k < r->input_count; k++) {
		struct place in = place_of_input(&r->inputs[k]);

		if (place_is_same(&in, &out))
			return fail_why(ret_why,
					"outputs[%zu]: a loop, the same interface, group and port "
					"as inputs[%zu]",
					i, k);
	}
	return 0;
}

/* Open addressing with indices plus one: 512 outputs are looked at in some microseconds. */
static int check_no_double(const struct rule *r, char *ret_why)
{
	uint16_t slots[DOUBLE_SLOTS] = {0};

	for (size_t i = 0; i < r->output_count; i++) {
		struct place p = place_of_output(&r->outputs[i]);
		size_t at = place_hash(&p) % DOUBLE_SLOTS;

		for (; slots[at]; at = (at + 1) % DOUBLE_SLOTS) {
			struct place other = place_of_output(&r->outputs[slots[at] - 1]);

			if (place_is_same(&p, &other))
				return fail_why(ret_why,
						"outputs[%zu]: the same as outputs[%d], expected "
						"each once",
						i, slots[at] - 1);
		}
		slots[at] = (uint16_t)(i + 1);
	}
	return 0;
}

static int check_outputs(const struct rule *r, char *ret_why)
{
	if (r->output_count < 1 || r->output_count > RULE_OUTPUTS_MAX)
		return fail_why(ret_why, "outputs: %zu, expected 1 to %u", r->output_count,
				RULE_OUTPUTS_MAX);
	for (size_t i = 0; i < r->output_count; i++)
		if (check_output(&r->outputs[i], i, ret_why) || check_no_loop(r, i, ret_why))
			return -EINVAL;
	return check_no_double(r, ret_why);
}

int rule_check(const struct rule *r, char ret_why[WHY_BYTES_MAX])
{
	if (check_name(r->name, ret_why) || check_inputs(r, ret_why) || check_match(r, ret_why) ||
	    check_outputs(r, ret_why))
		return -EINVAL;
	return 0;
}
