/* What a stream with two inputs has seen (dedup.h), in a memory file: it goes with the stream from
 * one worker to the next. Only the owner writes. */
#ifndef RELAY_DEDUP_FILE_H
#define RELAY_DEDUP_FILE_H

#include "mcast/core/dedup.h"

/* The descriptor, or a negative errno. */
int dedup_file_new(enum rule_match match);
/* NULL when it is none. */
struct dedup *dedup_file_map(int fd);
void dedup_file_unmap(struct dedup *d);

#endif
