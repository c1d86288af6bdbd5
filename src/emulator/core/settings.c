/* The keys of `set` in one table: name, what a value looks like. "none" takes a key back to what
 * a new link has. */
#include "emulator/core/settings.h"

#include "common/base/fail.h"
#include "emulator/core/quantity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct row {
	const char *name, *expected;
};

static const struct row rows[KEY_COUNT] = {
	[KEY_RATE] = {"rate", "a rate up to 1tbit such as 50mbit or 2.5gbit"},
	[KEY_DELAY] = {"delay", "a time up to 60s such as 10ms or 250us"},
	[KEY_JITTER] = {"jitter", "a time up to 60s such as 1ms"},
	[KEY_LOSS] = {"loss", "a probability such as 0.5%"},
	[KEY_BURST] = {"burst", "a probability and a mean length of at least 1, such as 0.1%:5"},
	[KEY_REORDER] = {"reorder", "a probability and a time, such as 1%:5ms"},
	[KEY_DUPLICATE] = {"duplicate", "a probability such as 0.5%"},
	[KEY_LIMIT] = {"limit", "bytes up to 1024mb or packets up to 1000000p, such as 64kb, 100p"},
};

const char *key_name(enum key key)
{
	return rows[key].name;
}

void settings_init(struct settings *s)
{
	*s = (struct settings){.limit_packets = LIMIT_PACKETS_DEFAULT};
}

/* Cuts "a:b" in two; -EINVAL when it is not that. */
static int cut(char *value, char **ret_second)
{
	char *colon = strchr(value, ':');

	if (!colon)
		return -EINVAL;
	*colon = '\0';
	*ret_second = colon + 1;
	return 0;
}

static int burst_parse(struct settings *to, char *value)
{
	char *second;
	int err = cut(value, &second);

	if (!err)
		err = quantity_chance(value, &to->burst_ppb);
	return err ? err : quantity_mean(second, &to->burst_mille);
}

static int reorder_parse(struct settings *to, char *value)
{
	char *second;
	int err = cut(value, &second);

	if (!err)
		err = quantity_chance(value, &to->reorder_ppb);
	return err ? err : quantity_time(second, &to->reorder_ns);
}

static int value_parse(struct settings *to, enum key key, char *value)
{
	switch (key) {
	case KEY_RATE:
		/* A rate of nothing would be a black hole that fills its queue. */
		return quantity_rate(value, &to->rate_bps) || to->rate_bps == 0 ? -EINVAL : 0;
	case KEY_DELAY:
		return quantity_time(value, &to->delay_ns);
	case KEY_JITTER:
		return quantity_time(value, &to->jitter_ns);
	case KEY_LOSS:
		return quantity_chance(value, &to->loss_ppb);
	case KEY_BURST:
		return burst_parse(to, value);
	case KEY_REORDER:
		return reorder_parse(to, value);
	case KEY_DUPLICATE:
		return quantity_chance(value, &to->duplicate_ppb);
	case KEY_LIMIT:
		return quantity_limit(value, &to->limit_bytes, &to->limit_packets);
	case KEY_COUNT:
		break;
	}
	return -EINVAL;
}

static enum key key_find(const char *name)
{
	enum key key = 0;

	while (key < KEY_COUNT && strcmp(rows[key].name, name) != 0)
		key++;
	return key;
}

/* What `key` stands for, from one to the other. */
static void copy(struct settings *to, const struct settings *from, enum key key)
{
	switch (key) {
	case KEY_RATE:
		to->rate_bps = from->rate_bps;
		break;
	case KEY_DELAY:
		to->delay_ns = from->delay_ns;
		break;
	case KEY_JITTER:
		to->jitter_ns = from->jitter_ns;
		break;
	case KEY_LOSS:
		to->loss_ppb = from->loss_ppb;
		break;
	case KEY_BURST:
		to->burst_ppb = from->burst_ppb;
		to->burst_mille = from->burst_mille;
		break;
	case KEY_REORDER:
		to->reorder_ppb = from->reorder_ppb;
		to->reorder_ns = from->reorder_ns;
		break;
	case KEY_DUPLICATE:
		to->duplicate_ppb = from->duplicate_ppb;
		break;
	case KEY_LIMIT:
		to->limit_bytes = from->limit_bytes;
		to->limit_packets = from->limit_packets;
		break;
	case KEY_COUNT:
		break;
	}
}

int change_add(struct change *c, const char *name, char *value, char ret_why[WHY_BYTES_MAX])
{
	enum key key = key_find(name);
	struct settings preset;
	char whole[40];

	if (key == KEY_COUNT) {
		return fail_why(ret_why,
				"set: unknown key \"%.40s\", expected rate, delay, jitter, loss, "
				"burst, reorder, duplicate or limit",
				name);
	}
	settings_init(&preset);
	snprintf(whole, sizeof(whole), "%s", value); /* for the message: parsing cuts it */
	if (strcmp(value, "none") == 0) {
		copy(&c->to, &preset, key);
	} else if (value_parse(&c->to, key, value)) {
		return fail_why(ret_why, "%s \"%s\": expected %s, or none", name, whole,
				rows[key].expected);
	}
	c->keys |= 1u << key;
	return 0;
}

void settings_change(struct settings *s, const struct change *c)
{
	for (enum key key = 0; key < KEY_COUNT; key++)
		if (c->keys & 1u << key)
			copy(s, &c->to, key);
}
