/* Looks at an end right after it has run. Limits: nothing that it holds passes what it may hold.
 * Accounts: what it counts is the sum of what it has. Time: it asks to be called again before
 * anything is late. All told from the records themselves, not from the next-look times that the
 * core keeps beside them: a shortcut that forgets somebody shows here. */
#ifndef SIM_AUDIT_H
#define SIM_AUDIT_H

#include <stdint.h>

struct vend;

/* `next_us`: when it wants to run again. */
void audit_run(struct vend *e, uint64_t next_us);
/* When it has ended: nothing is left. */
void audit_end(struct vend *e);

#endif
