/* One line of the emulator's language, checked:
 *   link NAME END_A END_B | set LINK [DIRECTION] KEY VALUE... | blackhole LINK [DIRECTION] on|off
 *   down LINK on|off | stats [LINK] | quit            DIRECTION: a>b, b>a or both (the default) */
#ifndef EMULATOR_CORE_COMMAND_H
#define EMULATOR_CORE_COMMAND_H

#include "emulator/core/limits.h"
#include "emulator/core/settings.h"

#include <stdbool.h>

enum command_kind {
	COMMAND_LINK,
	COMMAND_SET,
	COMMAND_BLACKHOLE,
	COMMAND_DOWN,
	COMMAND_STATS,
	COMMAND_QUIT,
	COMMAND_COUNT,
};

#define DIRECTION_A_TO_B 1u
#define DIRECTION_B_TO_A 2u

struct command {
	enum command_kind kind;
	char link[LINK_NAME_MAX];   /* "" with `stats` for all, and with `quit` */
	char ends[2][END_NAME_MAX]; /* of `link`, as they were given */
	unsigned directions;	    /* bits */
	bool is_on;
	struct change change;
};

/* Directions as they are written, by index: "a>b", "b>a". */
extern const char *const direction_names[2];

/* `line` without its end: 0, or -EINVAL with one line in `ret_why`. */
int command_parse(const char *line, struct command *ret, char ret_why[WHY_BYTES_MAX]);

#endif
