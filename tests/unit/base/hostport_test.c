/* A host and a port as text: names, both address families, and what is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* which needs those before it */

#include "common/base/hostport.h"

#include <string.h>

static void expect(const char *host, uint16_t port, const char *wanted)
{
	char text[HOSTPORT_TEXT_MAX];

	hostport_text(host, port, text);
	assert_string_equal(text, wanted);
}

static void ipv6_stands_in_brackets(void **state)
{
	(void)state;
	expect("10.0.0.1", 80, "10.0.0.1:80");
	expect("relay.example", 65535, "relay.example:65535");
	expect("::1", 7000, "[::1]:7000");
}

static void a_long_name_keeps_its_port(void **state)
{
	char host[300], text[HOSTPORT_TEXT_MAX];

	(void)state;
	memset(host, 'a', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	hostport_text(host, 65535, text);
	assert_int_equal(strlen(text), 255 + 6);
	assert_string_equal(text + 255, ":65535");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_stands_in_brackets),
		cmocka_unit_test(a_long_name_keeps_its_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
