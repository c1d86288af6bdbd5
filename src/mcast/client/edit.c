/* Rules in words: see edit.h. All options are in one table; a value is checked where it is read,
 * and the rule as a whole by rule_check. */
#include "mcast/client/edit.h"

#include "common/base/fail.h"
#include "common/conf/conf.h"
#include "mcast/common/rule_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_TEXT_MAX 128 /* an IPv6 address in brackets, a port, an interface: 70 */
#define SHORT_OUTPUTS 200u  /* as JSON, such a rule is never too long */
#define BATCH_BYTES_MAX 32u /* ,"batch":N and the line end */

static const char *const kind_names[] = {
	[EDIT_ADD] = "add",
	[EDIT_CHANGE] = "change",
	[EDIT_REMOVE] = "remove",
};

enum word {
	WORD_INPUT_INTERFACE,
	WORD_INPUT_GROUP,
	WORD_INPUT_PORT,
	WORD_SOURCE,
	WORD_SECOND_INTERFACE,
	WORD_SECOND_GROUP,
	WORD_SECOND_PORT,
	WORD_SECOND_SOURCE,
	WORD_MATCH,
	WORD_OUTPUTS,
	WORD_TTL,
	WORD_OUTPUT_SOURCE,
	WORD_NAME,
	WORDS,
};

/* What was read so far: the text of each option, NULL where it was not given. */
struct words {
	const char *values[WORDS];
	const char *operand; /* the name behind "remove" */
};

static const struct {
	const char *name, *value, *help;
} options[WORDS] = {
	[WORD_INPUT_INTERFACE] = {"input-interface", "IF", "where the stream comes in"},
	[WORD_INPUT_GROUP] = {"input-group", "GROUP", "its multicast group"},
	[WORD_INPUT_PORT] = {"input-port", "PORT", "and UDP port"},
	[WORD_SOURCE] = {"source", "ADDRESS", "only what this host sends (SSM)"},
	[WORD_SECOND_INTERFACE] = {"second-interface", "IF",
				   "the same stream comes in here, too; the first copy of each\n"
				   "packet goes on"},
	[WORD_SECOND_GROUP] = {"second-group", "GROUP", "its group there [the same]"},
	[WORD_SECOND_PORT] = {"second-port", "PORT", "its port there [the same]"},
	[WORD_SECOND_SOURCE] = {"second-source", "ADDRESS", "its source there [the same]"},
	[WORD_MATCH] = {"match", "HOW",
			"how copies are known: rtp (by their numbers) or content\n"
			"[content]"},
	[WORD_OUTPUTS] = {"outputs", "LIST",
			  "where copies go: GROUP:PORT:IF, or ADDRESS:PORT for one\n"
			  "host, with commas between; IPv6 as [ff15::1]:6001:br1"},
	[WORD_TTL] = {"ttl", "N", "of what is sent, 1 to 255 [16]"},
	[WORD_OUTPUT_SOURCE] = {"output-source", "ADDRESS",
				"an address of the relay to send from [the interface's]"},
	[WORD_NAME] = {"name", "NAME", "of the rule [made of its input]"},
};

/* ---- words to options ---- */

static int read_kind(const char *word, enum edit_kind *ret, char *ret_why)
{
	for (enum edit_kind kind = EDIT_ADD; kind <= EDIT_REMOVE; kind++) {
		if (strcmp(kind_names[kind], word) == 0) {
			*ret = kind;
			return 0;
		}
	}
	return fail_why(ret_why, "\"%.64s\", expected add, change or remove", word);
}

/* The option that `text` ("name" or "name=value") names, or WORDS. */
static enum word find_word(const char *text)
{
	size_t len = strcspn(text, "=");
	enum word w = 0;

	while (w < WORDS &&
	       (strlen(options[w].name) != len || strncmp(options[w].name, text, len) != 0))
		w++;
	return w;
}

static int read_words(enum edit_kind kind, size_t count, char *const *words, struct words *ret,
		      char *ret_why)
{
	for (size_t i = 1; i < count; i++) {
		const char *equals = strchr(words[i], '=');
		enum word w;

		if (strncmp(words[i], "--", 2) != 0) {
			if (ret->operand || kind != EDIT_REMOVE)
				return fail_why(ret_why,
						"%s: \"%.64s\" is one too many, expected options",
						words[0], words[i]);
			ret->operand = words[i];
			continue;
		}
		w = find_word(words[i] + 2);
		if (w == WORDS)
			return fail_why(ret_why,
					"%s: option \"%.64s\" is not known; --help tells more",
					words[0], words[i]);
		if (ret->values[w])
			return fail_why(ret_why, "--%s: given twice", options[w].name);
		if (!equals && i + 1 == count)
			return fail_why(ret_why, "--%s: no value, expected %s", options[w].name,
					options[w].value);
		ret->values[w] = equals ? equals + 1 : words[++i];
	}
	return 0;
}

/* ---- values ---- */

static int fail_value(char *ret_why, enum word w, const char *text, const char *expected)
{
	return fail_why(ret_why, "--%s \"%.64s\": expected %s", options[w].name, text, expected);
}

/* Those that take a value are for `text` that is there: without it `ret` stays as it is. */
static int read_ip(const struct words *words, enum word w, struct ip *ret, char *ret_why)
{
	const char *text = words->values[w];

	if (text && ip_parse(text, ret))
		return fail_value(ret_why, w, text, "an IPv4 or IPv6 address");
	return 0;
}

static int read_group(const struct words *words, enum word w, struct ip *ret, char *ret_why)
{
	int err = read_ip(words, w, ret, ret_why);

	if (!err && words->values[w] && !ip_is_multicast(ret))
		return fail_value(ret_why, w, words->values[w], "a multicast group");
	return err;
}

static int read_port(const struct words *words, enum word w, uint16_t *ret, char *ret_why)
{
	uint64_t port;

	if (!words->values[w])
		return 0;
	if (parse_u64(words->values[w], 1, UINT16_MAX, &port))
		return fail_value(ret_why, w, words->values[w], "a port from 1 to 65535");
	*ret = (uint16_t)port;
	return 0;
}

/* Text into an array of `size` bytes that is zeroed. */
static int read_text(const struct words *words, enum word w, size_t size, char *ret, char *ret_why)
{
	const char *text = words->values[w];

	if (!text)
		return 0;
	if (text[0] == '\0' || strlen(text) >= size)
		return fail_why(ret_why, "--%s \"%.64s\": %zu bytes, expected 1 to %zu",
				options[w].name, text, strlen(text), size - 1);
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

/* As rule_check would say of a rule: here for a name alone. */
static int read_name(const struct words *words, char *ret, char *ret_why)
{
	const char *text = words->values[WORD_NAME];

	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at > '~')
			return fail_value(ret_why, WORD_NAME, "...",
					  "printable characters without spaces");
	return read_text(words, WORD_NAME, RULE_NAME_MAX, ret, ret_why);
}

static int need(const struct words *words, const char *op, enum word w, char *ret_why)
{
	if (words->values[w])
		return 0;
	fail_why(ret_why, "%s: --%s is missing, expected --%s=%s", op, options[w].name,
		 options[w].name, options[w].value);
	return -EINVAL;
}

/* ---- outputs ---- */

static int fail_output(char *ret_why, const char *text, const char *expected)
{
	return fail_why(ret_why, "--outputs \"%.64s\": expected %s", text, expected);
}

/* The address at the front of "[ff15::1]:6001:br1" is cut off; what is behind it, or NULL. */
static char *cut_address(char *text, struct ip *ret)
{
	bool is_bracketed = text[0] == '[';
	char *end = strchr(text, is_bracketed ? ']' : ':');

	if (!end || (is_bracketed && end[1] != ':'))
		return NULL;
	*end = '\0';
	if (ip_parse(text + is_bracketed, ret) || (ret->family == IP_V6) != is_bracketed)
		return NULL;
	return end + 1 + is_bracketed;
}

static int parse_output(const char *text, size_t len, struct rule_output *ret, char *ret_why)
{
	struct rule_output out = {0};
	char copy[OUTPUT_TEXT_MAX], whole[OUTPUT_TEXT_MAX], *at, *colon;
	uint64_t port;

	snprintf(whole, sizeof(whole), "%.*s", (int)len, text);
	if (len >= sizeof(copy))
		return fail_output(ret_why, whole, "commas between outputs");
	memcpy(copy, whole, len + 1);
	at = cut_address(copy, &out.address);
	if (!at)
		return fail_output(ret_why, whole,
				   "GROUP:PORT:INTERFACE or ADDRESS:PORT, with an IPv6 address in "
				   "brackets");
	colon = strchr(at, ':');
	if (colon)
		*colon = '\0';
	if (parse_u64(at, 1, UINT16_MAX, &port))
		return fail_output(ret_why, whole, "a port from 1 to 65535 behind the address");
	out.port = (uint16_t)port;
	if (!colon && ip_is_multicast(&out.address))
		return fail_output(ret_why, whole, "\":INTERFACE\" behind a group and its port");
	if (colon && (colon[1] == '\0' || strlen(colon + 1) >= sizeof(out.interface)))
		return fail_output(ret_why, whole, "an interface's name of 1 to 15 bytes");
	if (colon)
		memcpy(out.interface, colon + 1, strlen(colon + 1) + 1);
	*ret = out;
	return 0;
}

static struct rule_output *add_output(struct rule *r)
{
	size_t bytes = (r->output_count + 1) * sizeof(*r->outputs);
	struct rule_output *outputs = realloc(r->outputs, bytes);

	if (!outputs)
		abort();
	r->outputs = outputs;
	return &outputs[r->output_count++];
}

static int read_outputs(const char *list, struct rule *r, char *ret_why)
{
	for (;;) {
		size_t len = strcspn(list, ",");
		struct rule_output out;

		if (r->output_count == RULE_OUTPUTS_MAX)
			return fail_why(ret_why, "--outputs: more than %u, expected fewer",
					RULE_OUTPUTS_MAX);
		if (parse_output(list, len, &out, ret_why))
			return -EINVAL;
		*add_output(r) = out;
		if (list[len] == '\0')
			return 0;
		list += len + 1;
	}
}

static int read_outputs_all(const struct words *words, struct rule *r, char *ret_why)
{
	const char *ttl_text = words->values[WORD_TTL];
	struct ip source = {0};
	uint64_t ttl = 0;

	if (ttl_text && parse_u64(ttl_text, 1, UINT8_MAX, &ttl))
		return fail_value(ret_why, WORD_TTL, ttl_text, "1 to 255");
	if (read_ip(words, WORD_OUTPUT_SOURCE, &source, ret_why) ||
	    read_outputs(words->values[WORD_OUTPUTS], r, ret_why))
		return -EINVAL;
	for (size_t i = 0; i < r->output_count; i++) {
		r->outputs[i].ttl = (uint8_t)ttl;
		r->outputs[i].source = source;
	}
	return 0;
}

/* ---- inputs ---- */

static int read_first(const struct words *words, const char *op, struct rule *r, char *ret_why)
{
	struct rule_input *in = &r->inputs[0];

	for (enum word w = WORD_INPUT_INTERFACE; w <= WORD_INPUT_PORT; w++)
		if (need(words, op, w, ret_why))
			return -EINVAL;
	r->input_count = 1;
	if (read_text(words, WORD_INPUT_INTERFACE, sizeof(in->interface), in->interface, ret_why) ||
	    read_group(words, WORD_INPUT_GROUP, &in->group, ret_why) ||
	    read_port(words, WORD_INPUT_PORT, &in->port, ret_why))
		return -EINVAL;
	return read_ip(words, WORD_SOURCE, &in->source, ret_why);
}

/* What is not said of the second input is as in the first. */
static int read_second(const struct words *words, struct rule *r, char *ret_why)
{
	struct rule_input *in = &r->inputs[1];
	const char *match = words->values[WORD_MATCH];

	if (!words->values[WORD_SECOND_INTERFACE]) {
		for (enum word w = WORD_SECOND_INTERFACE; w <= WORD_MATCH; w++)
			if (words->values[w])
				return fail_why(ret_why,
						"--%s: there is one input, expected "
						"--second-interface, too",
						options[w].name);
		return 0;
	}
	*in = r->inputs[0];
	memset(in->interface, 0, sizeof(in->interface));
	r->input_count = 2;
	r->match = RULE_MATCH_CONTENT;
	if (match && (rule_match_parse(match, &r->match) || r->match == RULE_MATCH_NONE))
		return fail_value(ret_why, WORD_MATCH, match, "rtp or content");
	if (read_text(words, WORD_SECOND_INTERFACE, sizeof(in->interface), in->interface,
		      ret_why) ||
	    read_group(words, WORD_SECOND_GROUP, &in->group, ret_why) ||
	    read_port(words, WORD_SECOND_PORT, &in->port, ret_why))
		return -EINVAL;
	return read_ip(words, WORD_SECOND_SOURCE, &in->source, ret_why);
}

/* ---- edits ---- */

static int read_rule(const struct words *words, enum edit_kind kind, struct rule *r, char *ret_why)
{
	const char *op = kind_names[kind];

	if (read_first(words, op, r, ret_why) || read_second(words, r, ret_why) ||
	    need(words, op, WORD_OUTPUTS, ret_why) || read_outputs_all(words, r, ret_why) ||
	    (kind == EDIT_CHANGE && need(words, op, WORD_NAME, ret_why)) ||
	    read_text(words, WORD_NAME, sizeof(r->name), r->name, ret_why))
		return -EINVAL;
	if (r->name[0] == '\0')
		rule_name_default(r, r->name);
	return rule_check(r, ret_why);
}

static int read_removal(struct words *words, struct edit *e, char *ret_why)
{
	for (enum word w = WORD_SECOND_INTERFACE; w < WORDS; w++)
		if (words->values[w] && w != WORD_NAME)
			return fail_why(ret_why,
					"remove: --%s says nothing of it, expected NAME or the "
					"--input-* options",
					options[w].name);
	if (words->operand && words->values[WORD_NAME])
		return fail_why(ret_why, "remove: two names, expected one");
	if (words->operand)
		words->values[WORD_NAME] = words->operand;
	e->is_by_input = !words->values[WORD_NAME];
	if (e->is_by_input)
		return read_first(words, "remove", &e->rule, ret_why);
	for (enum word w = WORD_INPUT_INTERFACE; w <= WORD_SOURCE; w++)
		if (words->values[w])
			return fail_why(ret_why,
					"remove: a name and --%s, expected NAME or the --input-* "
					"options",
					options[w].name);
	return read_name(words, e->rule.name, ret_why);
}

/* The relay takes no longer line. Only rules with many outputs come near. */
static int check_size(const struct edit *e, char *ret_why)
{
	json_t *request;
	size_t len;

	if (e->rule.output_count < SHORT_OUTPUTS)
		return 0;
	request = edit_request(e, NULL);
	len = json_dumpb(request, NULL, 0, JSON_COMPACT) + BATCH_BYTES_MAX;
	json_decref(request);
	if (len <= CONTROL_LINE_MAX)
		return 0;
	return fail_why(ret_why,
			"--outputs: %zu of them are %zu bytes to send, expected %u or less: fewer "
			"outputs",
			e->rule.output_count, len, CONTROL_LINE_MAX);
}

int edit_parse(size_t count, char *const *words, struct edit *ret, char ret_why[WHY_BYTES_MAX])
{
	struct edit e = {0};
	struct words read = {0};
	int err = read_kind(words[0], &e.kind, ret_why);

	if (!err)
		err = read_words(e.kind, count, words, &read, ret_why);
	if (!err)
		err = e.kind == EDIT_REMOVE ? read_removal(&read, &e, ret_why)
					    : read_rule(&read, e.kind, &e.rule, ret_why);
	if (!err)
		err = check_size(&e, ret_why);
	if (err) {
		edit_done(&e);
		return err;
	}
	*ret = e;
	return 0;
}

void edit_done(struct edit *e)
{
	rule_done(&e->rule);
}

/* ---- requests ---- */

static int read_json_ip(const json_t *from, const char *key, struct ip *ret)
{
	const char *text = json_string_value(json_object_get(from, key));

	return text ? ip_parse(text, ret) : 0;
}

/* An input as a text that tells it from all others, from JSON that may be anything. */
static int input_key(const json_t *from, char ret_key[RULE_NAME_MAX])
{
	const char *interface = json_string_value(json_object_get(from, "interface"));
	struct rule r = {.input_count = 1};
	struct rule_input *in = &r.inputs[0];

	if (!interface || strlen(interface) >= sizeof(in->interface) ||
	    read_json_ip(from, "group", &in->group) || read_json_ip(from, "source", &in->source))
		return -EINVAL;
	memcpy(in->interface, interface, strlen(interface) + 1);
	in->port = (uint16_t)json_integer_value(json_object_get(from, "port"));
	rule_name_default(&r, ret_key);
	return 0;
}

json_t *edit_names(const json_t *rules)
{
	json_t *names = json_object();

	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		const json_t *inputs = json_object_get(rule, "inputs");
		json_t *name = json_object_get(rule, "name");
		char key[RULE_NAME_MAX];

		for (size_t k = 0; json_is_string(name) && k < json_array_size(inputs); k++)
			if (input_key(json_array_get(inputs, k), key) == 0)
				json_object_set(names, key, name);
	}
	return names;
}

json_t *edit_request(const struct edit *e, const json_t *names)
{
	const char *op = kind_names[e->kind];
	const char *name = e->rule.name;
	char key[RULE_NAME_MAX];

	if (e->kind != EDIT_REMOVE)
		return json_pack("{s:s, s:o}", "op", op, "rule", rule_to_json(&e->rule));
	if (e->is_by_input) {
		rule_name_default(&e->rule, key);
		name = json_string_value(json_object_get(names, key));
	}
	return json_pack("{s:s, s:s}", "op", op, "name", name ? name : key);
}

void edit_help(FILE *out)
{
	for (enum word w = 0; w < WORDS; w++) {
		char left[40];
		const char *line = options[w].help;
		size_t len = strcspn(line, "\n");

		snprintf(left, sizeof(left), "--%s=%s", options[w].name, options[w].value);
		fprintf(out, "      %-27s %.*s\n", left, (int)len, line);
		if (line[len] == '\n')
			fprintf(out, "      %-27s %s\n", "", line + len + 1);
	}
}
