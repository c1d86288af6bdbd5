/* Rules from and to JSON: each field by its kind, its place in the line of a refusal. What may be
 * in a field is rule_check's to say; here it only has to fit. */
#include "mcast/common/rule_json.h"

#include "common/base/fail.h"
#include "mcast/core/memory.h"
#include "mcast/core/show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX 6 /* and a NULL behind the last */

static const char *const rule_keys[KEYS_MAX] = {"name", "inputs", "match", "outputs"};
static const char *const input_keys[KEYS_MAX] = {"interface", "group", "port", "source"};
static const char *const output_keys[KEYS_MAX] = {"address", "port", "interface", "ttl", "source"};

/* ---- to JSON ---- */

static json_t *ip_to_json(const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	ip_text(ip, text);
	return text[0] ? json_string(text) : NULL;
}

static json_t *input_to_json(const struct rule_input *in)
{
	return json_pack("{s:s, s:o, s:i, s:o*}", "interface", in->interface, "group",
			 ip_to_json(&in->group), "port", in->port, "source",
			 ip_to_json(&in->source));
}

static json_t *output_to_json(const struct rule_output *out)
{
	return json_pack("{s:o, s:i, s:s*, s:o*, s:o*}", "address", ip_to_json(&out->address),
			 "port", out->port, "interface", out->interface[0] ? out->interface : NULL,
			 "ttl", out->ttl ? json_integer(out->ttl) : NULL, "source",
			 ip_to_json(&out->source));
}

json_t *rule_to_json(const struct rule *r)
{
	json_t *inputs = json_array(), *outputs = json_array();

	for (size_t i = 0; i < r->input_count; i++)
		json_array_append_new(inputs, input_to_json(&r->inputs[i]));
	for (size_t i = 0; i < r->output_count; i++)
		json_array_append_new(outputs, output_to_json(&r->outputs[i]));
	return json_pack("{s:s, s:o, s:s*, s:o}", "name", r->name, "inputs", inputs, "match",
			 r->match == RULE_MATCH_NONE ? NULL : rule_match_name(r->match), "outputs",
			 outputs);
}

/* ---- from JSON ---- */

/* An object and where it stands: "outputs[2]." before its keys, "" for the rule itself. */
struct object {
	const json_t *json;
	char where[32];
	char *why;
};

static int fail_key(const struct object *o, const char *key, const json_t *found,
		    const char *expected)
{
	static const char *const kinds[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list", [JSON_STRING] = "a text",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a real",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};
	char shown[SHOW_BYTES_MAX];

	if (json_is_string(found))
		show(json_string_value(found), json_string_length(found), shown);
	else if (json_is_integer(found))
		snprintf(shown, sizeof(shown), "%" JSON_INTEGER_FORMAT, json_integer_value(found));
	else
		snprintf(shown, sizeof(shown), "%s", found ? kinds[json_typeof(found)] : "missing");
	return fail_why(o->why, "%s%s: %s, expected %s", o->where, key, shown, expected);
}

static int fail_unknown(const struct object *o, const char *key, const char *const keys[KEYS_MAX])
{
	char expected[64] = "", shown[SHOW_BYTES_MAX];
	size_t len = 0;

	for (size_t i = 0; keys[i]; i++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%s",
					i ? ", " : "", keys[i]);
	return fail_why(o->why, "%s%s: unknown key, expected one of %s", o->where,
			show(key, SIZE_MAX, shown), expected);
}

static int check_keys(const struct object *o, const char *const keys[KEYS_MAX])
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)o->json, key, value) {
		size_t i = 0;

		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return fail_unknown(o, key, keys);
	}
	return 0;
}

/* A text of at most `max` - 1 bytes without NUL in it; what is missing leaves `ret` as it is. */
static int text_from(const struct object *o, const char *key, size_t max, char *ret)
{
	const json_t *json = json_object_get(o->json, key);
	size_t len = json_string_length(json);
	char expected[40];

	if (!json)
		return 0;
	snprintf(expected, sizeof(expected), "a text of 1 to %zu bytes", max - 1);
	if (len < 1 || len >= max || strlen(json_string_value(json)) != len)
		return fail_key(o, key, json, expected);
	memcpy(ret, json_string_value(json), len + 1);
	return 0;
}

static int number_from(const struct object *o, const char *key, json_int_t max, json_int_t *ret)
{
	const json_t *json = json_object_get(o->json, key);
	json_int_t number = json_integer_value(json);
	char expected[40];

	if (!json)
		return 0;
	snprintf(expected, sizeof(expected), "1 to %" JSON_INTEGER_FORMAT, max);
	if (!json_is_integer(json) || number < 1 || number > max)
		return fail_key(o, key, json, expected);
	*ret = number;
	return 0;
}

static int port_from(const struct object *o, uint16_t *ret)
{
	json_int_t port = 0;

	if (number_from(o, "port", UINT16_MAX, &port))
		return -EINVAL;
	if (port == 0)
		return fail_key(o, "port", NULL, "1 to 65535");
	*ret = (uint16_t)port;
	return 0;
}

static int ip_from(const struct object *o, const char *key, struct ip *ret)
{
	const json_t *json = json_object_get(o->json, key);

	if (!json)
		return 0;
	if (!json_is_string(json) || strlen(json_string_value(json)) != json_string_length(json) ||
	    ip_parse(json_string_value(json), ret))
		return fail_key(o, key, json, "an IPv4 or IPv6 address");
	return 0;
}

static int input_from(const struct object *o, struct rule_input *ret)
{
	if (check_keys(o, input_keys) ||
	    text_from(o, "interface", sizeof(ret->interface), ret->interface) ||
	    ip_from(o, "group", &ret->group) || port_from(o, &ret->port) ||
	    ip_from(o, "source", &ret->source))
		return -EINVAL;
	return 0;
}

static int output_from(const struct object *o, struct rule_output *ret)
{
	json_int_t ttl = 0;

	if (check_keys(o, output_keys) || ip_from(o, "address", &ret->address) ||
	    port_from(o, &ret->port) ||
	    text_from(o, "interface", sizeof(ret->interface), ret->interface) ||
	    number_from(o, "ttl", UINT8_MAX, &ttl) || ip_from(o, "source", &ret->source))
		return -EINVAL;
	ret->ttl = (uint8_t)ttl;
	return 0;
}

/* The list at `key`, of 1 to `max` elements, or NULL with the refusal. */
static const json_t *list_of(const struct object *rule, const char *key, size_t max)
{
	const json_t *list = json_object_get(rule->json, key);
	char expected[40];

	snprintf(expected, sizeof(expected), "a list of 1 to %zu objects", max);
	if (json_array_size(list) >= 1 && json_array_size(list) <= max)
		return list;
	fail_key(rule, key, list, expected);
	return NULL;
}

static int element_of(const struct object *rule, const char *key, const json_t *list, size_t i,
		      struct object *ret)
{
	struct object o = {.json = json_array_get(list, i), .why = rule->why};

	if (!json_is_object(o.json)) {
		snprintf(o.where, sizeof(o.where), "%.10s[%u]", key, (unsigned)i);
		return fail_key(&o, "", o.json, "an object");
	}
	snprintf(o.where, sizeof(o.where), "%.10s[%u].", key, (unsigned)i);
	*ret = o;
	return 0;
}

static int inputs_from(const struct object *rule, struct rule *r)
{
	const json_t *list = list_of(rule, "inputs", RULE_INPUTS_MAX);
	struct object o = {0};

	if (!list)
		return -EINVAL;
	r->input_count = json_array_size(list);
	for (size_t i = 0; i < r->input_count; i++)
		if (element_of(rule, "inputs", list, i, &o) || input_from(&o, &r->inputs[i]))
			return -EINVAL;
	return 0;
}

static int outputs_from(const struct object *rule, struct rule *r)
{
	const json_t *list = list_of(rule, "outputs", RULE_OUTPUTS_MAX);
	struct object o = {0};

	if (!list)
		return -EINVAL;
	r->output_count = json_array_size(list);
	r->outputs = memory_new(r->output_count, sizeof(*r->outputs));
	for (size_t i = 0; i < r->output_count; i++)
		if (element_of(rule, "outputs", list, i, &o) || output_from(&o, &r->outputs[i]))
			return -EINVAL;
	return 0;
}

static int match_from(const struct object *rule, struct rule *r)
{
	const json_t *json = json_object_get(rule->json, "match");

	if (!json)
		return 0;
	if (!json_is_string(json) || rule_match_parse(json_string_value(json), &r->match))
		return fail_key(rule, "match", json, "\"none\", \"rtp\" or \"content\"");
	return 0;
}

static int rule_from(const struct object *o, struct rule *r)
{
	if (check_keys(o, rule_keys) || text_from(o, "name", sizeof(r->name), r->name) ||
	    inputs_from(o, r) || match_from(o, r) || outputs_from(o, r))
		return -EINVAL;
	if (!r->name[0])
		rule_name_default(r, r->name);
	return rule_check(r, o->why);
}

int rule_from_json(const json_t *json, struct rule *ret, char ret_why[WHY_BYTES_MAX])
{
	struct object o = {.json = json};
	struct rule r = {0};

	o.why = ret_why;
	if (!json_is_object(json))
		return fail_key(&o, "rule", json, "an object");
	if (rule_from(&o, &r)) {
		rule_done(&r);
		return -EINVAL;
	}
	*ret = r;
	return 0;
}
