/* Numbers with a fraction and a unit, as people write those of a link: 2.5mbit, 0.5ms, 0.1%, 64kb.
 * Strict: no sign, no space, nothing behind the unit; exact, without floating point. */
#ifndef EMULATOR_CORE_QUANTITY_H
#define EMULATOR_CORE_QUANTITY_H

#include <stdint.h>

#define PPB_ALL 1000000000u /* a probability of 1 */

/* `text` ends where the number does; `ret` is in bits per second, ns, parts of PPB_ALL.
 * 0, -EINVAL or -ERANGE. A result of 0 from digits that are not all 0 is -ERANGE: too fine. */
int quantity_rate(const char *text, uint64_t *ret_bps);
int quantity_time(const char *text, uint64_t *ret_ns);
int quantity_chance(const char *text, uint64_t *ret_ppb);
/* One of both is set, the other 0. */
int quantity_limit(const char *text, uint64_t *ret_bytes, uint64_t *ret_packets);
/* A mean of at least 1 in thousandths: 2.5 is 2500. */
int quantity_mean(const char *text, uint64_t *ret_thousandths);

#endif
