/* The log's lines as they arrive on standard error: a socket that keeps the borders of each write
 * stands in for it, so that one receive is one write. */
#include "common/base/limits.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define STAMP "2026-11-21T10:00:00.123Z"

struct capture {
	int sockets[2];
	int stderr_saved;
	char line[4096];
};

static int set_up(void **state)
{
	static struct capture c;

	*state = &c;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, c.sockets) < 0)
		return -1;
	c.stderr_saved = dup(STDERR_FILENO);
	return dup2(c.sockets[0], STDERR_FILENO) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct capture *c = *state;

	dup2(c->stderr_saved, STDERR_FILENO);
	close(c->stderr_saved);
	close(c->sockets[0]);
	close(c->sockets[1]);
	return 0;
}

/* The one line that was written, or "" when there was none. */
static const char *captured(struct capture *c)
{
	ssize_t n = recv(c->sockets[1], c->line, sizeof(c->line) - 1, MSG_DONTWAIT);

	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	c->line[n < 0 ? 0 : n] = '\0';
	return c->line;
}

/* Digits where STAMP has digits, and the same character elsewhere. */
static void check_stamp(const char *at)
{
	for (const char *s = STAMP; *s; s++, at++) {
		if (*s >= '0' && *s <= '9')
			assert_in_range(*at, '0', '9');
		else
			assert_int_equal(*at, *s);
	}
}

static void check_text(struct capture *c, const char *rest)
{
	check_stamp(captured(c));
	assert_string_equal(c->line + strlen(STAMP), rest);
}

static void check_json(struct capture *c, const char *rest)
{
	static const char head[] = "{\"ts\":\"";

	assert_memory_equal(captured(c), head, strlen(head));
	check_stamp(c->line + strlen(head));
	assert_string_equal(c->line + strlen(head) + strlen(STAMP), rest);
}

static void test_text_line(void **state)
{
	log_init("ingress", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	log_info("message %d %s", 7, "x");
	check_text(*state, " ingress INFO message 7 x\n");
	log_error("e");
	check_text(*state, " ingress ERROR e\n");
	log_warn("w");
	check_text(*state, " ingress WARN w\n");
	log_debug("d");
	check_text(*state, " ingress DEBUG d\n");
}

static void test_json_line(void **state)
{
	log_init("proxy", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_warn("plain %u", 5u);
	check_json(*state, "\",\"program\":\"proxy\",\"level\":\"warn\",\"msg\":\"plain 5\"}\n");
}

static int evaluated(int *count)
{
	return ++*count;
}

static void test_level_filters(void **state)
{
	int count = 0;

	log_init("egress", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	assert_true(log_is_on(LOG_LEVEL_ERROR));
	assert_true(log_is_on(LOG_LEVEL_WARN));
	assert_false(log_is_on(LOG_LEVEL_INFO));
	log_info("%d", evaluated(&count));
	log_debug("%d", evaluated(&count));
	assert_string_equal(captured(*state), "");
	assert_int_equal(count, 0); /* what is off costs nothing */
	log_error("%d", evaluated(&count));
	check_text(*state, " egress ERROR 1\n");
}

static void test_text_cannot_be_forged(void **state)
{
	log_init("p", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("a\nb\r\033[1m\x7f\"\\ \xc3\xa9 \xff \xc3");
	check_text(*state, " p INFO a?b??[1m?\"\\ \xc3\xa9 ? ?\n");
}

#define JSON_HEAD "\",\"program\":\"p\",\"level\":\"info\",\"msg\":\""

static void test_json_escapes(void **state)
{
	log_init("p", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("a\"b\\c\nd\te\x01\x7f/");
	check_json(*state, JSON_HEAD "a\\\"b\\\\c\\u000ad\\u0009e\\u0001\\u007f/\"}\n");
}

/* Only what RFC 3629 allows comes out as it is. */
static void test_json_is_utf8(void **state)
{
	log_init("p", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf \xf4\x8f\xbf\xbf");
	check_json(*state, JSON_HEAD "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf "
				     "\xf4\x8f\xbf\xbf\"}\n");
	log_info("\x80 \xc1 \xe0\x80 \xf5 \xff");
	check_json(*state, JSON_HEAD "\\ufffd \\ufffd \\ufffd\\ufffd \\ufffd \\ufffd\"}\n");
	log_info("\xe0\x9f\xbf"); /* longer than need be */
	check_json(*state, JSON_HEAD "\\ufffd\\ufffd\\ufffd\"}\n");
	log_info("\xf0\x8f\xbf\xbf");
	check_json(*state, JSON_HEAD "\\ufffd\\ufffd\\ufffd\\ufffd\"}\n");
	log_info("\xed\xa0\x80"); /* a surrogate */
	check_json(*state, JSON_HEAD "\\ufffd\\ufffd\\ufffd\"}\n");
	log_info("\xf4\x90\x80\x80"); /* above U+10FFFF */
	check_json(*state, JSON_HEAD "\\ufffd\\ufffd\\ufffd\\ufffd\"}\n");
	log_info("\xe2\x82"); /* cut at the end */
	check_json(*state, JSON_HEAD "\\ufffd\\ufffd\"}\n");
}

static void test_long_text_is_cut_and_marked(void **state)
{
	struct capture *c = *state;
	char message[3000];

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	log_init("p", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	for (size_t len = 0; len < sizeof(message) - 1; len++) {
		const char *at = message + sizeof(message) - 1 - len;
		size_t line_len;

		log_info("%s", at);
		line_len = strlen(captured(c));
		assert_in_range(line_len, 1, LOG_LINE_MAX);
		assert_int_equal(strchr(c->line, '\n') - c->line, line_len - 1);
		if (len < LOG_LINE_MAX - 64)
			assert_int_equal(line_len, strlen(STAMP " p INFO \n") + len);
		else if (len >= LOG_LINE_MAX)
			assert_string_equal(c->line + line_len - 4, "...\n");
	}
}

/* Every character doubles or grows sixfold; the cut must not fall into an escape. */
static void test_long_json_is_cut_between_characters(void **state)
{
	static const char *const repeated[] = {"\"", "\n", "\xe2\x82\xac", "\xff"};
	struct capture *c = *state;
	char message[3000];

	log_init("p", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	for (size_t i = 0; i < 4; i++) {
		static const char *const shown[] = {"\\\"", "\\u000a", "\xe2\x82\xac", "\\ufffd"};
		size_t len = strlen(repeated[i]), shown_len = strlen(shown[i]);
		char *at;

		memset(message, 0, sizeof(message));
		for (size_t n = 0; n + len < sizeof(message); n += len)
			memcpy(message + n, repeated[i], len);
		log_info("%s", message);
		assert_in_range(strlen(captured(c)), LOG_LINE_MAX - 16, LOG_LINE_MAX);
		at = strstr(c->line, "\"msg\":\"") + strlen("\"msg\":\"");
		while (strncmp(at, shown[i], shown_len) == 0)
			at += shown_len;
		assert_string_equal(at, "...\"}\n");
	}
}

static void test_errno_is_kept(void **state)
{
	log_init("p", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	errno = ENOENT;
	log_info("x");
	assert_int_equal(errno, ENOENT);
	check_text(*state, " p INFO x\n");
	close(STDERR_FILENO); /* nobody listens: not an error of the caller */
	errno = ENOENT;
	log_info("x");
	assert_int_equal(errno, ENOENT);
}

static void test_names_are_parsed(void **state)
{
	enum log_level level = LOG_LEVEL_WARN;
	enum log_format format = LOG_FORMAT_JSON;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("Error", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_format_parse("text", &format), 0);
	assert_int_equal(format, LOG_FORMAT_TEXT);
	assert_int_equal(log_format_parse("json", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_format_parse("xml", &format), -EINVAL);
	assert_int_equal(format, LOG_FORMAT_JSON);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_text_line),
		TEST(test_json_line),
		TEST(test_level_filters),
		TEST(test_text_cannot_be_forged),
		TEST(test_json_escapes),
		TEST(test_json_is_utf8),
		TEST(test_long_text_is_cut_and_marked),
		TEST(test_long_json_is_cut_between_characters),
		TEST(test_errno_is_kept),
		cmocka_unit_test(test_names_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
