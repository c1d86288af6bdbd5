/* Rules from and to libconfig: both ways by JSON, so that a file and the control socket say the
 * same and are refused alike. The only file of the relay that includes libconfig.h. */
#include "mcast/common/rule_conf.h"

#include "common/base/fail.h"
#include "mcast/common/rule_json.h"
#include "mcast/core/show.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

static json_t *json_of(const config_setting_t *s);

/* A group's members by their names, a list's in order. */
static json_t *json_of_members(const config_setting_t *s, bool is_group)
{
	json_t *json = is_group ? json_object() : json_array();
	unsigned count = (unsigned)config_setting_length(s);

	for (unsigned i = 0; i < count; i++) {
		const config_setting_t *member = config_setting_get_elem(s, i);

		if (is_group)
			json_object_set_new(json, config_setting_name(member), json_of(member));
		else
			json_array_append_new(json, json_of(member));
	}
	return json;
}

static json_t *json_of(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return json_of_members(s, true);
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY:
		return json_of_members(s, false);
	case CONFIG_TYPE_STRING: /* bytes of any kind: who reads the JSON checks them */
		return json_string_nocheck(config_setting_get_string(s));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(s));
	case CONFIG_TYPE_FLOAT:
		return json_real(config_setting_get_float(s));
	}
	return json_integer(config_setting_get_int64(s));
}

/* "relay.conf:12: " before what was wrong there; the path is cut rather than that. */
static int fail_at(const char *path, const config_setting_t *s, const char *what, char *ret_why)
{
	const char *included = config_setting_source_file(s);

	return fail_why(ret_why, "%.100s:%u: %s", included ? included : path,
			config_setting_source_line(s), what);
}

static int add_rule(const char *path, const config_setting_t *s, struct ruleset *set, char *ret_why)
{
	struct rule_batch batch = {0};
	json_t *json = json_of(s);
	struct rule r = {0};
	char why[WHY_BYTES_MAX];
	int err = rule_from_json(json, &r, why);

	json_decref(json);
	if (!err) {
		rule_batch_push(&batch, RULE_ADD, &r);
		err = ruleset_apply(set, &batch, why);
	}
	rule_batch_done(&batch);
	rule_done(&r);
	if (err)
		fail_at(path, s, why, ret_why);
	return err;
}

/* One by one, so that a refusal has the line of its rule. */
static int add_rules(const char *path, const config_setting_t *list, struct ruleset *set,
		     char *ret_why)
{
	unsigned count = (unsigned)config_setting_length(list);
	int err = 0;

	if (!config_setting_is_list(list))
		return fail_at(path, list, "rules: expected a list, ( { name = ...; }, ... )",
			       ret_why);
	for (unsigned i = 0; i < count && !err; i++)
		err = add_rule(path, config_setting_get_elem(list, i), set, ret_why);
	return err;
}

/* A file without "rules" was cut or is another one: it does not mean that there are none. */
static int read_root(const char *path, const config_setting_t *root, struct ruleset *set,
		     char *ret_why)
{
	const config_setting_t *list = config_setting_get_member(root, "rules");
	char shown[SHOW_BYTES_MAX], what[WHY_BYTES_MAX];

	if (!list)
		return fail_why(ret_why, "%.100s: expected \"rules = ( ... );\"", path);
	for (unsigned i = 0; i < (unsigned)config_setting_length(root); i++) {
		const config_setting_t *s = config_setting_get_elem(root, i);

		if (s == list)
			continue;
		fail_why(what, "%s: unknown key, expected only rules",
			 show(config_setting_name(s), SIZE_MAX, shown));
		return fail_at(path, s, what, ret_why);
	}
	return add_rules(path, list, set, ret_why);
}

static int read_stream(const char *path, FILE *stream, struct ruleset *set, char *ret_why)
{
	config_t config;
	int err;

	config_init(&config);
	if (config_read(&config, stream)) {
		err = read_root(path, config_root_setting(&config), set, ret_why);
	} else {
		const char *included = config_error_file(&config);

		err = fail_why(ret_why, "%.100s:%d: %s, expected libconfig's \"name = value;\"",
			       included ? included : path, config_error_line(&config),
			       config_error_text(&config));
	}
	config_destroy(&config);
	return err;
}

static int fail_file(const char *path, int err, const char *what, char *ret_why)
{
	fail_why(ret_why, "%.100s: %s: %s", path, what, strerror(-err));
	return err;
}

/* libconfig's scanner ends the process when it meets a directory, so that is looked at first. */
static int file_open(const char *path, FILE **ret)
{
	FILE *stream = fopen(path, "re");
	struct stat st;
	int err;

	if (!stream)
		return -errno;
	err = fstat(fileno(stream), &st) ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
	if (err)
		fclose(stream);
	else
		*ret = stream;
	return err;
}

int rule_conf_read(const char *path, struct ruleset **ret, char ret_why[WHY_BYTES_MAX])
{
	struct ruleset *set;
	FILE *stream = NULL;
	int err = file_open(path, &stream);

	if (err)
		return fail_file(path, err, "expected a file that can be read", ret_why);
	set = ruleset_new();
	err = read_stream(path, stream, set, ret_why);
	fclose(stream);
	if (err)
		ruleset_free(set);
	else
		*ret = set;
	return err;
}

/* ---- writing ---- */

static void write_json(FILE *stream, const json_t *json);

static void write_object(FILE *stream, const json_t *json)
{
	const char *key;
	json_t *value;

	fputs("{ ", stream);
	json_object_foreach((json_t *)(uintptr_t)json, key, value) {
		fprintf(stream, "%s = ", key);
		write_json(stream, value);
		fputs("; ", stream);
	}
	fputc('}', stream);
}

static void write_list(FILE *stream, const json_t *json)
{
	json_t *value;
	size_t i;

	fputs("( ", stream);
	json_array_foreach(json, i, value) {
		fputs(i ? ", " : "", stream);
		write_json(stream, value);
	}
	fputs(" )", stream);
}

/* What rule_to_json makes: neither its keys nor its texts have quotes or backslashes. */
static void write_json(FILE *stream, const json_t *json)
{
	if (json_is_object(json))
		write_object(stream, json);
	else if (json_is_array(json))
		write_list(stream, json);
	else if (json_is_string(json))
		fprintf(stream, "\"%s\"", json_string_value(json));
	else
		fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
}

/* A rule is a line. */
static void write_rules(FILE *stream, const struct ruleset *s)
{
	fputs("rules = (", stream);
	for (size_t i = 0; i < ruleset_count(s); i++) {
		json_t *json = rule_to_json(ruleset_at(s, i));

		fputs(i ? ",\n\t" : "\n\t", stream);
		write_json(stream, json);
		json_decref(json);
	}
	fputs("\n);\n", stream);
}

/* Mode and owner of the file that is to be replaced; of a new one what files usually have. */
static int take_over_mode(int fd, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno != ENOENT || fchmod(fd, 0644) ? -errno : 0;
	return fchown(fd, st.st_uid, st.st_gid) || fchmod(fd, st.st_mode & 07777) ? -errno : 0;
}

/* Closes it too. All must lie on the disk before the old file's name leads to it. */
static int write_whole(FILE *stream, const char *path, const struct ruleset *s)
{
	int err = take_over_mode(fileno(stream), path);

	if (!err) {
		write_rules(stream, s);
		err = fflush(stream) || fsync(fileno(stream)) ? -errno : 0;
	}
	fclose(stream);
	return err;
}

/* An empty file beside it, of a name that nobody has. */
static int open_beside(const char *path, char ret_beside[PATH_MAX], FILE **ret)
{
	int len = snprintf(ret_beside, PATH_MAX, "%s.XXXXXX", path);
	int fd = len < PATH_MAX ? mkostemp(ret_beside, O_CLOEXEC) : -1;
	FILE *stream;

	if (fd < 0)
		return len < PATH_MAX ? -errno : -ENAMETOOLONG;
	stream = fdopen(fd, "w");
	if (!stream)
		abort();
	*ret = stream;
	return 0;
}

int rule_conf_write(const char *path, const struct ruleset *s, char ret_why[WHY_BYTES_MAX])
{
	char beside[PATH_MAX];
	FILE *stream = NULL;
	char *real = realpath(path, NULL); /* what a link leads to is replaced, not the link */
	int err = open_beside(real ? real : path, beside, &stream);

	if (err) {
		free(real);
		return fail_file(path, err, "expected that a file can be made beside it", ret_why);
	}
	err = write_whole(stream, path, s);
	if (!err && rename(beside, real ? real : path))
		err = -errno;
	free(real);
	if (err) {
		unlink(beside);
		return fail_file(path, err, "expected that it can be written", ret_why);
	}
	return 0;
}
