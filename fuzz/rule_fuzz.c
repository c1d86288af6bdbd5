/* with: src/mcast/common/rule_json.c src/mcast/core/ip.c src/mcast/core/place.c */
/* with: src/mcast/core/rule.c src/mcast/core/rule_check.c src/mcast/core/show.c */
/* with: src/mcast/core/siphash.c */
/* Fuzz target for the relay's rules: a text is no JSON, or is refused with one printable line, or
 * it is a rule that is the same when it has gone to JSON and back. */
#include "mcast/common/rule_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_line(const char *why)
{
	require(why[0] != '\0' && strlen(why) < WHY_BYTES_MAX);
	for (; *why; why++)
		require(*why >= ' ' && *why <= '~');
}

static void check_round_trip(const struct rule *r)
{
	json_t *json = rule_to_json(r);
	char why[WHY_BYTES_MAX];
	struct rule again;

	require(json && rule_from_json(json, &again, why) == 0);
	require(rule_is_same(r, &again));
	rule_done(&again);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	char why[WHY_BYTES_MAX] = "";
	struct rule r;

	if (!json)
		return 0;
	if (rule_from_json(json, &r, why)) {
		check_line(why);
	} else {
		check_round_trip(&r);
		rule_done(&r);
	}
	json_decref(json);
	return 0;
}
