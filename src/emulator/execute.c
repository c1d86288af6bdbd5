/* Commands to links. */
#include "emulator/execute.h"

#include "emulator/core/command.h"
#include "emulator/report.h"

#include <errno.h>
#include <string.h>

struct call {
	struct emulator *emulator;
	const struct command *command;
	struct cable *cable; /* NULL with commands that name none */
	char why[WHY_BYTES_MAX];
};

static void set_direction(struct cable *cable, size_t way, const struct command *command)
{
	struct direction *d = &cable->ways[way];

	if (command->kind == COMMAND_BLACKHOLE)
		d->is_blackhole = command->is_on;
	else
		direction_change(d, &command->change, emulator_clock_ns());
}

static void set_directions(const struct call *call)
{
	if (call->command->directions & DIRECTION_A_TO_B)
		set_direction(call->cable, 0, call->command);
	if (call->command->directions & DIRECTION_B_TO_A)
		set_direction(call->cable, 1, call->command);
}

static int set_down(struct call *call)
{
	int err = cable_set_down(call->cable, call->command->is_on);

	if (err)
		snprintf(call->why, sizeof(call->why), "down \"%s\": %s", call->cable->name,
			 strerror(-err));
	return err;
}

static int act(struct call *call, FILE *reply)
{
	struct emulator *e = call->emulator;
	const struct command *command = call->command;

	switch (command->kind) {
	case COMMAND_LINK:
		return emulator_join(e, command->link, command->ends, call->why);
	case COMMAND_SET:
	case COMMAND_BLACKHOLE:
		set_directions(call);
		return 0;
	case COMMAND_DOWN:
		return set_down(call);
	case COMMAND_STATS:
		fputs("ok ", reply);
		report(e, call->cable, reply);
		return 0;
	case COMMAND_QUIT:
		e->is_ending = true;
		return 0;
	case COMMAND_COUNT:
		break;
	}
	return -EINVAL;
}

/* The link that is named, unless it is to be made. */
static int look_up(struct call *call)
{
	const char *name = call->command->link;

	if (call->command->kind == COMMAND_LINK || name[0] == '\0')
		return 0;
	call->cable = emulator_find(call->emulator, name);
	if (call->cable)
		return 0;
	snprintf(call->why, sizeof(call->why), "link \"%s\": there is none of that name", name);
	return -ENOENT;
}

static bool is_blank(const char *line)
{
	line += strspn(line, " \t");
	return *line == '\0' || *line == '#';
}

int execute(struct emulator *e, const char *line, FILE *reply)
{
	struct command command;
	struct call call = {.emulator = e, .command = &command};
	int err;

	if (is_blank(line))
		return 0;
	err = command_parse(line, &command, call.why);
	if (!err)
		err = look_up(&call);
	if (!err)
		err = act(&call, reply);
	if (err)
		fprintf(reply, "error: %s\n", call.why);
	else if (command.kind != COMMAND_STATS)
		fputs("ok\n", reply);
	return err;
}
