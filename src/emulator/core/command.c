/* Lines to commands: words, a table of verbs, and what each takes. Nothing here acts. */
#include "emulator/core/command.h"

#include "common/base/fail.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 24u /* set, link, direction, and each key with its value: 19 */

const char *const direction_names[2] = {"a>b", "b>a"};

struct words {
	char text[COMMAND_BYTES_MAX];
	char *word[WORDS_MAX + 1]; /* NULL behind the last */
	size_t count, at;
};

typedef int verb_parse(struct words *w, struct command *ret, char *ret_why);

/* Only what can be printed on one line goes on from here, into replies and messages too. */
static bool is_plain(const char *line)
{
	for (; *line; line++)
		if (*line != '\t' && (*line < ' ' || *line > '~'))
			return false;
	return true;
}

static int words_split(struct words *w, const char *line, char *ret_why)
{
	char *at = w->text, *save;

	w->count = w->at = 0;
	if (strlen(line) >= sizeof(w->text))
		return fail_why(ret_why, "line of %zu bytes: expected at most %u", strlen(line),
				COMMAND_BYTES_MAX - 1);
	if (!is_plain(line))
		return fail_why(ret_why, "line: expected printable ASCII");
	memcpy(w->text, line, strlen(line) + 1);
	while ((at = strtok_r(at, " \t", &save)) != NULL) {
		if (w->count == WORDS_MAX)
			return fail_why(ret_why, "line: expected at most %u words", WORDS_MAX);
		w->word[w->count++] = at;
		at = NULL;
	}
	w->word[w->count] = NULL;
	return 0;
}

/* The next word, or NULL. */
static char *next(struct words *w)
{
	return w->at < w->count ? w->word[w->at++] : NULL;
}

static bool name_is_good(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	return name[0] && strlen(name) < LINK_NAME_MAX && name[strspn(name, allowed)] == '\0';
}

static int link_name(struct words *w, struct command *ret, char *ret_why)
{
	const char *name = next(w);

	if (!name || !name_is_good(name))
		return fail_why(
			ret_why,
			"link \"%.40s\": expected a name of 1 to %u letters, digits, '.', '_', "
			"'-'",
			name ? name : "", LINK_NAME_MAX - 1);
	snprintf(ret->link, sizeof(ret->link), "%s", name);
	return 0;
}

/* When there is none, both; the word is left for others. */
static void direction(struct words *w, struct command *ret)
{
	const char *word = w->word[w->at];

	ret->directions = DIRECTION_A_TO_B | DIRECTION_B_TO_A;
	if (!word)
		return;
	if (strcmp(word, direction_names[0]) == 0)
		ret->directions = DIRECTION_A_TO_B;
	else if (strcmp(word, direction_names[1]) == 0)
		ret->directions = DIRECTION_B_TO_A;
	else if (strcmp(word, "both") != 0)
		return;
	w->at++;
}

static int on_off(struct words *w, struct command *ret, char *ret_why)
{
	const char *word = next(w);

	if (!word || (strcmp(word, "on") != 0 && strcmp(word, "off") != 0))
		return fail_why(ret_why, "\"%.40s\": expected on or off", word ? word : "");
	ret->is_on = strcmp(word, "on") == 0;
	return 0;
}

static int link_parse(struct words *w, struct command *ret, char *ret_why)
{
	int err = link_name(w, ret, ret_why);

	for (size_t i = 0; i < 2 && !err; i++) {
		const char *end = next(w);

		if (!end || strlen(end) >= sizeof(ret->ends[i]))
			return fail_why(ret_why,
					"end %c \"%.40s\": expected [tun:]INTERFACE[@NAMESPACE]",
					"ab"[i], end ? end : "");
		snprintf(ret->ends[i], sizeof(ret->ends[i]), "%s", end);
	}
	return err;
}

static int set_parse(struct words *w, struct command *ret, char *ret_why)
{
	const char *key;
	int err = link_name(w, ret, ret_why);

	direction(w, ret);
	while (!err && (key = next(w)) != NULL) {
		char *value = next(w);

		if (!value)
			return fail_why(ret_why, "%.40s: expected a value behind it", key);
		err = change_add(&ret->change, key, value, ret_why);
	}
	if (!err && ret->change.keys == 0)
		return fail_why(ret_why, "set: expected a key and a value, such as rate 50mbit");
	return err;
}

static int blackhole_parse(struct words *w, struct command *ret, char *ret_why)
{
	int err = link_name(w, ret, ret_why);

	direction(w, ret);
	return err ? err : on_off(w, ret, ret_why);
}

static int down_parse(struct words *w, struct command *ret, char *ret_why)
{
	int err = link_name(w, ret, ret_why);

	return err ? err : on_off(w, ret, ret_why);
}

static int stats_parse(struct words *w, struct command *ret, char *ret_why)
{
	return w->at < w->count ? link_name(w, ret, ret_why) : 0;
}

static const struct verb {
	const char *name;
	verb_parse *parse; /* NULL: it takes nothing */
} verbs[COMMAND_COUNT] = {
	[COMMAND_LINK] = {"link", link_parse},
	[COMMAND_SET] = {"set", set_parse},
	[COMMAND_BLACKHOLE] = {"blackhole", blackhole_parse},
	[COMMAND_DOWN] = {"down", down_parse},
	[COMMAND_STATS] = {"stats", stats_parse},
	[COMMAND_QUIT] = {"quit", NULL},
};

int command_parse(const char *line, struct command *ret, char ret_why[WHY_BYTES_MAX])
{
	struct command command = {.kind = 0};
	struct words w;
	const char *word;
	int err = words_split(&w, line, ret_why);

	if (err)
		return err;
	word = next(&w);
	while (word && command.kind < COMMAND_COUNT && strcmp(verbs[command.kind].name, word) != 0)
		command.kind++;
	if (!word || command.kind == COMMAND_COUNT)
		return fail_why(
			ret_why,
			"command \"%.40s\": expected link, set, blackhole, down, stats or quit",
			word ? word : "");
	if (verbs[command.kind].parse)
		err = verbs[command.kind].parse(&w, &command, ret_why);
	if (err)
		return err;
	if (w.at < w.count)
		return fail_why(ret_why, "%s: \"%.40s\" is one word too many", word, w.word[w.at]);
	*ret = command;
	return 0;
}
