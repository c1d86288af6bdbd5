/* A libconfig file: the options by the names of the command line with underscores, and the lists
 * listen, backend and comm. The only file that includes libconfig.h; all its values become text
 * and go through the checks that the command line uses. */
#include "common/conf/draft.h"

#include <errno.h>
#include <libconfig.h>
#include <string.h>
#include <sys/stat.h>

enum address_key { ADDRESS_HOST, ADDRESS_PORT, ADDRESS_RATIO };
#define ADDRESS_KEY_COUNT 3

static const char *const address_keys[ADDRESS_KEY_COUNT] = {"host", "port", "ratio"};

struct file {
	struct draft *draft;
	const char *path;
};

/* "ingress.conf:12: backend 2: port"; the last two may be NULL. */
static void where_format(const struct file *f, const config_setting_t *s, const char *group,
			 const char *key, char ret_where[WHERE_MAX])
{
	const char *included = config_setting_source_file(s);

	/* Cut the path rather than what follows it. */
	snprintf(ret_where, WHERE_MAX, "%.400s:%u%s%.20s%s%.60s", included ? included : f->path,
		 config_setting_source_line(s), group ? ": " : "", group ? group : "",
		 key ? ": " : "", key ? key : "");
}

/* A scalar as the text that would stand on the command line; NULL for a group, list or array. */
static const char *value_text(const config_setting_t *s, char buffer[64])
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		return config_setting_get_string(s);
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(s) ? "true" : "false";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(buffer, 64, "%lld", config_setting_get_int64(s));
		return buffer;
	case CONFIG_TYPE_FLOAT:
		snprintf(buffer, 64, "%.15g", config_setting_get_float(s));
		return buffer;
	}
	return NULL;
}

static int unknown_key(const struct file *f, const config_setting_t *s, const char *group,
		       const struct near *n)
{
	char where[WHERE_MAX], best[32];

	where_format(f, s, group, NULL, where);
	if (!n->best)
		return draft_fail(f->draft, where, config_setting_name(s),
				  "unknown key, expected one of those that mpp.conf(5) lists");
	option_key(n->best, best);
	return draft_fail(f->draft, where, config_setting_name(s),
			  "unknown key, expected perhaps \"%s\"", best);
}

static int address_unknown_key(const struct file *f, const config_setting_t *s, const char *group)
{
	struct near n;

	near_init(&n, config_setting_name(s));
	for (size_t i = 0; i < ADDRESS_KEY_COUNT; i++)
		near_try(&n, address_keys[i]);
	return unknown_key(f, s, group, &n);
}

static int address_value(const struct file *f, const config_setting_t *s, const char *group,
			 enum side side, struct conf_address *a)
{
	const char *key = config_setting_name(s), *text;
	char where[WHERE_MAX], buffer[64];

	where_format(f, s, group, key, where);
	text = value_text(s, buffer);
	if (!text)
		return draft_fail(f->draft, where, NULL, "expected one value, not a group or list");
	if (strcmp(key, address_keys[ADDRESS_HOST]) == 0)
		return address_set_host(f->draft, a, where, text);
	if (strcmp(key, address_keys[ADDRESS_PORT]) == 0)
		return address_set_port(f->draft, a, where, text);
	if (strcmp(key, address_keys[ADDRESS_RATIO]) == 0)
		return address_set_ratio(f->draft, a, side, where, text);
	return address_unknown_key(f, s, group);
}

/* A group of host, port and, where `wants_ratio` says so, ratio. */
static int address_group(const struct file *f, const config_setting_t *group, const char *name,
			 enum side side, bool wants_ratio, struct conf_address *ret)
{
	struct conf_address a = {.port = 0};
	char where[WHERE_MAX];

	where_format(f, group, name, NULL, where);
	if (!config_setting_is_group(group))
		return draft_fail(f->draft, where, NULL,
				  "expected { host = \"...\"; port = ...;%s }",
				  wants_ratio ? " ratio = ...;" : "");
	for (int i = 0; i < config_setting_length(group); i++)
		if (address_value(f, config_setting_get_elem(group, (unsigned)i), name, side, &a))
			return -EINVAL;
	for (size_t i = 0; i < ADDRESS_KEY_COUNT; i++) {
		if (i == ADDRESS_RATIO && !wants_ratio)
			continue;
		if (!config_setting_get_member(group, address_keys[i]))
			return draft_fail(f->draft, where, NULL, "expected a \"%s\" in it",
					  address_keys[i]);
	}
	*ret = a;
	return 0;
}

static int side_parse(const struct file *f, const config_setting_t *list, enum side side)
{
	enum module m = f->draft->conf.module;
	int count = config_setting_length(list);
	size_t max = side_max(m, side);
	char where[WHERE_MAX], name[32];
	struct conf_address a;

	where_format(f, list, side_name(side), NULL, where);
	if (!config_setting_is_list(list))
		return draft_fail(f->draft, where, NULL,
				  "expected a list: ( { host = \"...\"; port = ...; }, ... )");
	if (count < 1 || (size_t)count > max)
		return draft_fail(f->draft, where, NULL, "%d addresses: expected %s%zu", count,
				  max > 1 ? "from 1 to " : "", max);
	for (int i = 0; i < count; i++) {
		const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);

		snprintf(name, sizeof(name), "%s %d", side_name(side), i + 1);
		where_format(f, group, name, NULL, where);
		if (address_group(f, group, name, side, side_ratio_counts(m, side), &a) ||
		    address_add(f->draft, side, where, &a))
			return -EINVAL;
	}
	return 0;
}

static int comm_parse(const struct file *f, const config_setting_t *group)
{
	const config_setting_t *ratio = config_setting_get_member(group, "ratio");
	char where[WHERE_MAX];

	if (!ratio)
		return address_group(f, group, "comm", SIDE_LISTEN, false, &f->draft->conf.comm);
	where_format(f, ratio, "comm", "ratio", where);
	return draft_fail(f->draft, where, NULL, "expected only host and port in comm");
}

static int option_parse(const struct file *f, const config_setting_t *s)
{
	const char *key = config_setting_name(s), *text;
	enum module m = f->draft->conf.module;
	enum option_id id = option_by_key(m, key);
	char where[WHERE_MAX], buffer[64];
	struct near n;

	if (id == OPTION_COUNT) {
		near_init(&n, key);
		for (id = 0; id < OPTION_COUNT; id++)
			if (option_is_of(m, id))
				near_try(&n, option_name(id));
		near_try(&n, "listen");
		near_try(&n, "backend");
		near_try(&n, "comm");
		return unknown_key(f, s, NULL, &n);
	}
	where_format(f, s, NULL, key, where);
	text = value_text(s, buffer);
	if (!text)
		return draft_fail(f->draft, where, NULL, "expected one value, not a group or list");
	return option_set(f->draft, id, where, text);
}

static int setting_parse(const struct file *f, const config_setting_t *s)
{
	const char *key = config_setting_name(s);

	if (strcmp(key, "listen") == 0)
		return side_parse(f, s, SIDE_LISTEN);
	if (strcmp(key, "backend") == 0)
		return side_parse(f, s, SIDE_BACKEND);
	if (strcmp(key, "comm") == 0)
		return comm_parse(f, s);
	return option_parse(f, s);
}

static int syntax_fail(const struct file *f, const config_t *config)
{
	const char *included = config_error_file(config);
	char where[WHERE_MAX];

	snprintf(where, sizeof(where), "%.480s:%d", included ? included : f->path,
		 config_error_line(config));
	return draft_fail(f->draft, where, NULL, "%s: expected libconfig's \"name = value;\"",
			  config_error_text(config));
}

/* libconfig's scanner ends the process when it meets a directory, so that is looked at first. */
static FILE *file_open(const struct file *f)
{
	FILE *stream = fopen(f->path, "re");
	struct stat st;

	if (stream && fstat(fileno(stream), &st) == 0 && !S_ISDIR(st.st_mode))
		return stream;
	draft_fail(f->draft, "option --config", f->path, "expected a file that can be read: %s",
		   strerror(stream ? EISDIR : errno));
	if (stream)
		fclose(stream);
	return NULL;
}

int file_parse(struct draft *d, const char *path)
{
	struct file f = {.draft = d, .path = path};
	FILE *stream = file_open(&f);
	const config_setting_t *root;
	config_t config;
	int err = 0;

	if (!stream)
		return -EINVAL;
	config_init(&config);
	if (!config_read(&config, stream))
		err = syntax_fail(&f, &config);
	root = config_root_setting(&config);
	for (int i = 0; !err && i < config_setting_length(root); i++)
		err = setting_parse(&f, config_setting_get_elem(root, (unsigned)i));
	config_destroy(&config);
	fclose(stream);
	return err;
}
