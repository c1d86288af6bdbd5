/* Memory, of this machine and of both sides. */
#ifndef ECHO_MEMORY_H
#define ECHO_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

struct memory {
	int64_t available_bytes; /* that the kernel could give away */
	int64_t client_bytes;	 /* of this process and all under it */
	int64_t server_bytes;	 /* the same of the server; 0 when it is not known */
};

/* `server_pid` 0: not known. It takes .1 ms a process. */
struct memory memory_look(pid_t server_pid);

#endif
