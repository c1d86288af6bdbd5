/* with: src/emulator/core/command.c src/emulator/core/settings.c src/emulator/core/quantity.c */
/* Fuzz target for the link emulator's commands: a line is refused with one printable line, or it
 * is a command within its limits. */
#include "emulator/core/command.h"

#include "emulator/core/quantity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
	if (!is_true)
		abort();
}

static void check_settings(const struct change *c)
{
	const struct settings *s = &c->to;

	require(c->keys < 1u << KEY_COUNT);
	require(s->rate_bps <= RATE_BPS_MAX);
	require(s->delay_ns <= TIME_NS_MAX && s->jitter_ns <= TIME_NS_MAX);
	require(s->reorder_ns <= TIME_NS_MAX);
	require(s->loss_ppb <= PPB_ALL && s->burst_ppb <= PPB_ALL && s->reorder_ppb <= PPB_ALL);
	require(s->duplicate_ppb <= PPB_ALL);
	require(s->burst_ppb == 0 || s->burst_mille >= 1000);
	if (c->keys & 1u << KEY_LIMIT)
		require((s->limit_bytes == 0) != (s->limit_packets == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1), why[WHY_BYTES_MAX] = "";
	struct command c;

	require(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	if (command_parse(line, &c, why)) {
		require(why[0] != '\0' && strlen(why) < WHY_BYTES_MAX);
		for (const char *at = why; *at; at++)
			require(*at >= ' ' && *at <= '~');
	} else {
		require(c.kind < COMMAND_COUNT);
		require(strlen(c.link) < LINK_NAME_MAX);
		if (c.kind == COMMAND_SET)
			check_settings(&c.change);
	}
	free(line);
	return 0;
}
