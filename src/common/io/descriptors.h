/* The last few descriptors of the process are kept for the comm socket, so that an operator can
 * still ask and command when clients have used up all others. */
#ifndef IO_DESCRIPTORS_H
#define IO_DESCRIPTORS_H

#include <stdbool.h>

/* True when the next descriptor for a client or server would be one of those. */
bool descriptors_are_short(void);

#endif
