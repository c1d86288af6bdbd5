/* A worker process and the channel to it. */
#ifndef ECHO_PROCESS_H
#define ECHO_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* fork(2) with a channel: SOCK_SEQPACKET, non-blocking at the parent's end, blocking at the
 * child's. The child is killed when its parent ends, however that ends, and has the default
 * reaction to all signals and none blocked. Returns 1 in the child, 0 in the parent with `ret_pid`,
 * or a negative errno; `ret_channel` is that side's end. */
int process_fork(pid_t *ret_pid, int *ret_channel);

/* Memory that this process and all it forks later share, zeroed; NULL when there is none. It lives
 * until the last of them ends. */
void *process_share(size_t bytes);

/* How many descriptors are open. */
unsigned process_files_open(void);

/* What a file of /proc says in KiB behind a name like "Pss:", in bytes; -1 when it says nothing. */
int64_t process_bytes_in(const char *path, const char *name);
/* Proportional resident memory (Pss; Rss where there is no right to Pss) of a process and all of
 * its descendants, in bytes. Processes that end meanwhile count 0. */
size_t process_tree_memory(pid_t pid);

#endif
