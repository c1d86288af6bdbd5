/* with: src/mcast/common/rule_conf.c src/mcast/common/rule_json.c src/mcast/core/hashed.c */
/* with: src/mcast/core/ip.c src/mcast/core/loop.c src/mcast/core/place.c src/mcast/core/rule.c */
/* with: src/mcast/core/rule_check.c src/mcast/core/ruleset.c src/mcast/core/show.c */
/* with: src/mcast/core/ruleset_batch.c src/mcast/core/siphash.c src/mcast/core/site.c */
/* Rules as a libconfig file in a folder of its own: read, refused with file and line, written whole
 * or not at all. */
#include "mcast/common/rule_conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUTS "outputs = ( { address = \"239.9.9.9\"; port = 1; interface = \"br1\"; } ); "
#define RULE(name, group)                                                           \
	"{ name = \"" name "\"; inputs = ( { interface = \"br0\"; group = \"" group \
	"\"; port = 5001; } ); " OUTPUTS "}"

static const char two_rules[] =
	"rules = (\n" RULE("a", "239.1.1.1") ",\n" RULE("b", "ff3e::1") ");\n";

/* The test's folder is the current one. */
static int set_up(void **state)
{
	char folder[] = "/tmp/rule_conf_test.XXXXXX";

	if (!mkdtemp(folder) || chdir(folder))
		return -1;
	*state = strdup(folder);
	return 0;
}

static int tear_down(void **state)
{
	unlink("file");
	rmdir("folder");
	if (chdir("/") || rmdir(*state))
		return -1; /* something was left there */
	free(*state);
	return 0;
}

static void put_file(const char *text)
{
	FILE *file = fopen("file", "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct ruleset *read_good(void)
{
	char why[WHY_BYTES_MAX] = "";
	struct ruleset *set = NULL;

	if (rule_conf_read("file", &set, why))
		fail_msg("refused: %s", why);
	return set;
}

static void assert_refused(const char *path, int err, const char *expected)
{
	char why[WHY_BYTES_MAX] = "";
	struct ruleset *set = NULL;

	assert_int_equal(rule_conf_read(path, &set, why), err);
	assert_string_equal(why, expected);
	assert_null(set);
}

static void files_are_read(void **state)
{
	struct ruleset *set;

	(void)state;
	put_file(two_rules);
	set = read_good();
	assert_int_equal(ruleset_count(set), 2);
	assert_string_equal(ruleset_at(set, 1)->name, "b");
	assert_int_equal(ruleset_find(set, "b")->inputs[0].group.family, IP_V6);
	ruleset_free(set);
	put_file("rules = ();");
	set = read_good();
	assert_int_equal(ruleset_count(set), 0);
	ruleset_free(set);
}

static void files_are_refused(void **state)
{
	(void)state;
	assert_refused("none", -ENOENT,
		       "none: expected a file that can be read: No such file or directory");
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_refused("folder", -EISDIR,
		       "folder: expected a file that can be read: Is a directory");
	put_file("\nrules = (\n{ name = ;");
	assert_refused("file", -EINVAL,
		       "file:3: syntax error, expected libconfig's \"name = value;\"");
	put_file("");
	assert_refused("file", -EINVAL, "file: expected \"rules = ( ... );\"");
	put_file("rules = ();\nworkers = 4;\n");
	assert_refused("file", -EINVAL, "file:2: \"workers\": unknown key, expected only rules");
	put_file("\nrules = { };\n");
	assert_refused("file", -EINVAL, "file:2: rules: expected a list, ( { name = ...; }, ... )");
}

static void rules_are_refused(void **state)
{
	(void)state;
	put_file("rules = (\n" RULE("a", "239.1.1.1") ",\n" RULE("b", "10.0.0.1") ");");
	assert_refused("file", -EINVAL,
		       "file:3: inputs[0].group: 10.0.0.1, expected a multicast group");
	put_file("rules = (\n" RULE("a", "239.1.1.1") ",\n\n" RULE("a", "239.1.1.2") ");");
	assert_refused("file", -EEXIST,
		       "file:4: rule \"a\": is there already, expected another name");
	put_file("rules = ( 5 );");
	assert_refused("file", -EINVAL, "file:1: rule: 5, expected an object");
	put_file("rules = ( { name = \"a\xff\"; } );");
	assert_refused("file", -EINVAL,
		       "file:1: inputs: missing, expected a list of 1 to 2 objects");
	put_file("rules = ( { name = 1.5; } );");
	assert_refused("file", -EINVAL, "file:1: name: a real, expected a text of 1 to 63 bytes");
	put_file("rules = ( { name = true; } );");
	assert_refused("file", -EINVAL, "file:1: name: true, expected a text of 1 to 63 bytes");
}

static void there_and_back(void **state)
{
	struct ruleset *set, *again;
	struct rule_batch diff;
	char why[WHY_BYTES_MAX] = "";

	(void)state;
	put_file("rules = ( { inputs = ( "
		 "{ interface = \"br0\"; group = \"239.1.1.1\"; port = 5001; source = "
		 "\"10.0.0.9\"; }, "
		 "{ interface = \"br2\"; group = \"239.1.1.1\"; port = 5002; } ); match = \"rtp\"; "
		 "outputs = ( { address = \"239.9.9.9\"; port = 1; interface = \"br1\"; ttl = 3; },"
		 "{ address = \"10.0.0.1\"; port = 2; source = \"10.0.0.2\"; } ); },\n" RULE(
			 "b", "ff3e::1") ");");
	set = read_good();
	assert_int_equal(rule_conf_write("file", set, why), 0);
	again = read_good();
	ruleset_diff(set, again, &diff);
	assert_int_equal(diff.count, 0);
	assert_int_equal(ruleset_count(again), 2);
	assert_string_equal(ruleset_at(again, 0)->name, "10.0.0.9/239.1.1.1:5001@br0");
	rule_batch_done(&diff);
	ruleset_free(set);
	ruleset_free(again);
}

static void the_mode_is_kept(void **state)
{
	struct ruleset *set = ruleset_new();
	char why[WHY_BYTES_MAX] = "";
	struct stat st;

	(void)state;
	assert_int_equal(rule_conf_write("file", set, why), 0);
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(chmod("file", 0600), 0);
	assert_int_equal(rule_conf_write("file", set, why), 0);
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	ruleset_free(set);
	set = read_good();
	assert_int_equal(ruleset_count(set), 0);
	ruleset_free(set);
}

/* Nothing is left beside it (tear_down), and what was there is there. */
static void what_cannot_be_replaced_stays(void **state)
{
	struct ruleset *set = ruleset_new();
	char why[WHY_BYTES_MAX] = "";

	(void)state;
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(rule_conf_write("folder", set, why), -EISDIR);
	assert_string_equal(why, "folder: expected that it can be written: Is a directory");
	assert_int_equal(rule_conf_write("none/file", set, why), -ENOENT);
	assert_string_equal(why, "none/file: expected that a file can be made beside it: "
				 "No such file or directory");
	ruleset_free(set);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(files_are_read), test(files_are_refused), test(rules_are_refused),
		test(there_and_back), test(the_mode_is_kept),  test(what_cannot_be_replaced_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
