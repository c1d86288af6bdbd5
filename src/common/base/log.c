/* The log: formats a line on the stack and writes it at once. Messages may quote bytes from
 * outside, so control characters and broken UTF-8 never come out as they are: they could forge
 * lines, drive a terminal, or break a JSON parser. */
#include "common/base/log.h"

#include "common/base/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define REPLACEMENT 0xfffd /* the code point for what is none */
#define CUT_MARK "..."
#define LINE_TAIL (sizeof(CUT_MARK "\"}\n") - 1) /* always kept free */

struct log {
	const char *program;
	enum log_level level;
	enum log_format format;
};

/* Written by log_init before any thread starts, only read afterwards. */
static struct log log_state = {"mpp", LOG_LEVEL_INFO, LOG_FORMAT_TEXT};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
static const char *const level_names_text[] = {
	[LOG_LEVEL_ERROR] = "ERROR",
	[LOG_LEVEL_WARN] = "WARN",
	[LOG_LEVEL_INFO] = "INFO",
	[LOG_LEVEL_DEBUG] = "DEBUG",
};
static const char *const format_names[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
};

void log_init(const char *program, enum log_level level, enum log_format format)
{
	log_state = (struct log){program, level, format};
}

bool log_is_on(enum log_level level)
{
	return level <= log_state.level;
}

/* The index of `text` among `count` names, or -EINVAL. */
static int name_index(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	int i = name_index(text, level_names, sizeof(level_names) / sizeof(*level_names));

	if (i < 0)
		return i;
	*ret_level = (enum log_level)i;
	return 0;
}

int log_format_parse(const char *text, enum log_format *ret_format)
{
	int i = name_index(text, format_names, sizeof(format_names) / sizeof(*format_names));

	if (i < 0)
		return i;
	*ret_format = (enum log_format)i;
	return 0;
}

/* The length of the UTF-8 sequence of two bytes or more at `s`, or 0 (RFC 3629, section 4). */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) /* also stops at the NUL */
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90))
		return 0; /* longer than it need be */
	if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0; /* a surrogate; above U+10FFFF */
	return len;
}

/* Writes the character at `s` as the format wants it; returns how many bytes of `s` it took. */
static size_t escape(const unsigned char *s, enum log_format format, char ret_text[8])
{
	bool is_json = format == LOG_FORMAT_JSON;
	size_t len = *s < 0x80 ? 1 : utf8_len(s);
	bool is_harmful = len == 0 || *s < 0x20 || *s == 0x7f;

	if (is_harmful && is_json)
		snprintf(ret_text, 8, "\\u%04x", len == 0 ? REPLACEMENT : *s);
	else if (is_harmful)
		snprintf(ret_text, 8, "?");
	else
		snprintf(ret_text, 8, "%s%.*s", is_json && (*s == '"' || *s == '\\') ? "\\" : "",
			 (int)len, (const char *)s);
	return len ? len : 1;
}

/* Appends `message` to the `len` bytes of `line`; what is too long is cut and marked. */
static size_t put_message(char line[LOG_LINE_MAX], size_t len, const char *message)
{
	const unsigned char *s = (const unsigned char *)message;
	char text[8];

	while (*s) {
		size_t taken = escape(s, log_state.format, text);
		size_t text_len = strlen(text);

		if (len + text_len > LOG_LINE_MAX - LINE_TAIL) {
			memcpy(line + len, CUT_MARK, strlen(CUT_MARK));
			return len + strlen(CUT_MARK);
		}
		memcpy(line + len, text, text_len);
		len += text_len;
		s += taken;
	}
	return len;
}

static size_t put_head(char line[LOG_LINE_MAX], enum log_level level)
{
	struct timespec now;
	struct tm utc;
	char second[32];
	bool is_json = log_state.format == LOG_FORMAT_JSON;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &utc);
	/* The program's name is bounded, so that the head always fits. */
	return (size_t)snprintf(
		line, LOG_LINE_MAX,
		is_json ? "{\"ts\":\"%s.%03ldZ\",\"program\":\"%.64s\",\"level\":\"%s\",\"msg\":\""
			: "%s.%03ldZ %.64s %s ",
		second, now.tv_nsec / 1000000, log_state.program,
		is_json ? level_names[level] : level_names_text[level]);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char message[LOG_LINE_MAX + 1]; /* one more than fits, so that a cut is noticed */
	char line[LOG_LINE_MAX];
	int saved_errno = errno; /* a caller may log first and then look at it */
	const char *tail = log_state.format == LOG_FORMAT_JSON ? "\"}\n" : "\n";
	size_t len;
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	len = put_message(line, put_head(line, level), message);
	memcpy(line + len, tail, strlen(tail));
	len += strlen(tail);
	if (write(STDERR_FILENO, line, len) < 0)
		errno = 0; /* there is nobody left to tell */
	errno = saved_errno;
}
