/* Text to numbers: digits and decimals to one integer, times the unit's factor. 128 bits in
 * between, so that nothing a line can hold overflows. */
#include "emulator/core/quantity.h"

#include "emulator/core/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 18u /* each below 2^60, and times the largest factor below 2^128 */

struct unit {
	const char *suffix;
	uint64_t factor;
};

struct decimal {
	uint64_t digits; /* all of them, the point left out */
	uint64_t scale;	 /* 10 to the power of those behind the point */
	const char *rest;
};

static int decimal_parse(const char *text, struct decimal *ret)
{
	struct decimal d = {0, 1, NULL};
	bool is_fraction = false;
	size_t count = 0;

	for (; (*text >= '0' && *text <= '9') || (*text == '.' && !is_fraction && count); text++) {
		if (*text == '.') {
			is_fraction = true;
			continue;
		}
		if (++count > DIGITS_MAX)
			return -ERANGE;
		d.digits = d.digits * 10 + (uint64_t)(*text - '0');
		d.scale *= is_fraction ? 10 : 1;
	}
	if (count == 0 || text[-1] == '.')
		return -EINVAL;
	d.rest = text;
	*ret = d;
	return 0;
}

static int parse(const char *text, const struct unit *units, uint64_t max, uint64_t *ret)
{
	unsigned __int128 value;
	struct decimal d;
	int err = decimal_parse(text, &d);

	if (err)
		return err;
	while (units->suffix && strcasecmp(units->suffix, d.rest) != 0)
		units++;
	if (!units->suffix)
		return -EINVAL;
	value = (unsigned __int128)d.digits * units->factor / d.scale;
	if (value > max || (value == 0 && d.digits > 0))
		return -ERANGE;
	*ret = (uint64_t)value;
	return 0;
}

int quantity_rate(const char *text, uint64_t *ret_bps)
{
	static const struct unit units[] = {
		{"bit", 1},	      {"kbit", 1000},	       {"mbit", 1000000},
		{"gbit", 1000000000}, {"tbit", 1000000000000}, {NULL, 0}};

	return parse(text, units, RATE_BPS_MAX, ret_bps);
}

int quantity_time(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {{"us", 1000},
					    {"ms", 1000000},
					    {"s", 1000000000},
					    {NULL, 0}};

	return parse(text, units, TIME_NS_MAX, ret_ns);
}

int quantity_chance(const char *text, uint64_t *ret_ppb)
{
	static const struct unit units[] = {{"%", PPB_ALL / 100}, {NULL, 0}};

	return parse(text, units, PPB_ALL, ret_ppb);
}

int quantity_limit(const char *text, uint64_t *ret_bytes, uint64_t *ret_packets)
{
	static const struct unit packets[] = {{"p", 1}, {NULL, 0}};
	static const struct unit bytes[] = {{"b", 1}, {"kb", KIB}, {"mb", MIB}, {NULL, 0}};
	uint64_t value = 0;
	int err = parse(text, packets, LIMIT_PACKETS_MAX, &value);

	if (!err && value > 0) {
		*ret_bytes = 0;
		*ret_packets = value;
		return 0;
	}
	if (err == -EINVAL)
		err = parse(text, bytes, LIMIT_BYTES_MAX, &value);
	if (err || value == 0)
		return err ? err : -ERANGE;
	*ret_bytes = value;
	*ret_packets = 0;
	return 0;
}

int quantity_mean(const char *text, uint64_t *ret_thousandths)
{
	static const struct unit units[] = {{"", 1000}, {NULL, 0}};
	uint64_t value;
	int err = parse(text, units, BURST_PACKETS_MAX * 1000, &value);

	if (err || value < 1000)
		return err ? err : -ERANGE;
	*ret_thousandths = value;
	return 0;
}
