/* Memory, of this machine and of both sides. */
#ifndef ECHO_MEMORY_H
#define ECHO_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct memory {
	int64_t available_bytes; /* that the kernel could give away */
	int64_t client_bytes;	 /* of this process and all under it */
	int64_t server_bytes;	 /* the same of the server; 0 when it is not known */
};

/* `server_pid` 0: not known. It takes .1 ms a process. */
struct memory memory_look(pid_t server_pid);
/* Returns when what is available does not change any more, for what ended before us gives its own
 * back only bit by bit; or after two seconds. */
void memory_settle(void);
/* So little is left that more connections would cost other programs theirs. */
bool memory_is_scarce(void);

#endif
