/* Text from people to numbers and hosts. Nobody else in the programs does this: what is refused
 * here is refused the same way on the command line, in a file and on the comm socket. */
#include "common/conf/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 253u /* RFC 1035, 2.3.4, without the length bytes at both ends */
#define LABEL_MAX_LEN 63u

struct unit {
	const char *suffix;
	uint64_t factor;
};

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

void names_text(const char *const *names, char ret_text[NAMES_TEXT_MAX])
{
	size_t len = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; names[i] && len < NAMES_TEXT_MAX; i++)
		len += (size_t)snprintf(ret_text + len, NAMES_TEXT_MAX - len, "%s%s",
					i == 0 ? "" : ", ", names[i]);
}

static int parse_scaled(const char *text, const struct unit *units, uint64_t min, uint64_t max,
			uint64_t *ret)
{
	char digits[FORMAT_MAX];
	size_t len = strspn(text, "0123456789");
	uint64_t value;
	int err;

	if (len >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, text, len);
	digits[len] = '\0';
	err = parse_u64(digits, 0, UINT64_MAX, &value);
	if (err)
		return err;
	while (units->suffix && strcasecmp(units->suffix, text + len) != 0)
		units++;
	if (!units->suffix)
		return -EINVAL;
	if (__builtin_mul_overflow(value, units->factor, &value) || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1}, {"K", KIB}, {"M", MIB}, {"G", 1024ull * MIB}, {NULL, 0}};

	return parse_scaled(text, units, min, max, ret_bytes);
}

int parse_time(const char *text, uint64_t min, uint64_t max, uint64_t *ret_ms)
{
	static const struct unit units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {NULL, 0}};

	return parse_scaled(text, units, min, max, ret_ms);
}

void format_size(uint64_t bytes, char ret_text[FORMAT_MAX])
{
	static const char units[] = {'K', 'M', 'G'};
	size_t i = 0;

	if (bytes == 0 || bytes % KIB != 0) {
		snprintf(ret_text, FORMAT_MAX, "%" PRIu64, bytes);
		return;
	}
	for (bytes /= KIB; bytes % KIB == 0 && i + 1 < sizeof(units); i++)
		bytes /= KIB;
	snprintf(ret_text, FORMAT_MAX, "%" PRIu64 "%c", bytes, units[i]);
}

void format_time(uint64_t ms, char ret_text[FORMAT_MAX])
{
	if (ms == 0 || ms % 1000 != 0)
		snprintf(ret_text, FORMAT_MAX, "%" PRIu64 "ms", ms);
	else
		snprintf(ret_text, FORMAT_MAX, "%" PRIu64 "s", ms / 1000);
}

/* The canonical text of an IPv4 or IPv6 literal. */
static int parse_literal(int family, const char *text, char ret_host[CONF_HOST_MAX])
{
	struct in6_addr binary; /* has room for either */

	if (inet_pton(family, text, &binary) != 1)
		return -EINVAL;
	inet_ntop(family, &binary, ret_host, CONF_HOST_MAX);
	return 0;
}

static int parse_bracketed(const char *text, char ret_host[CONF_HOST_MAX])
{
	char inner[INET6_ADDRSTRLEN];
	size_t len = strlen(text);

	if (len < 2 || len - 2 >= sizeof(inner) || text[len - 1] != ']')
		return -EINVAL;
	memcpy(inner, text + 1, len - 2);
	inner[len - 2] = '\0';
	return parse_literal(AF_INET6, inner, ret_host);
}

/* One label: letters, digits and inner hyphens. */
static bool label_is_good(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX_LEN || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)label[i]) && label[i] != '-')
			return false;
	return true;
}

/* A last label of digits only is a mistyped IPv4 address (RFC 1123, 2.1), not a name. */
static bool name_is_good(const char *name)
{
	if (strlen(name) > NAME_MAX_LEN)
		return false;
	for (;;) {
		size_t len = strcspn(name, ".");

		if (!label_is_good(name, len))
			return false;
		if (name[len] == '\0')
			return strspn(name, "0123456789") != len;
		name += len + 1;
	}
}

int parse_host(const char *text, char ret_host[CONF_HOST_MAX])
{
	if (text[0] == '[')
		return parse_bracketed(text, ret_host);
	if (parse_literal(AF_INET, text, ret_host) == 0 ||
	    parse_literal(AF_INET6, text, ret_host) == 0)
		return 0;
	if (!name_is_good(text))
		return -EINVAL;
	snprintf(ret_host, CONF_HOST_MAX, "%s", text);
	return 0;
}
