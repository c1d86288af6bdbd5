/* Who may command the emulator while it runs: clients of a Unix socket, and standard input. Lines
 * in, one line of reply each; whoever sends nonsense gets an error and all else goes on. */
#ifndef EMULATOR_CONTROL_H
#define EMULATOR_CONTROL_H

#include "emulator/emulator.h"

#include <sys/un.h>

struct control {
	struct watch watch; /* of the listener */
	struct emulator *emulator;
	int listen_fd; /* -1: none */
	struct sockaddr_un address;
	struct list talkers;
	size_t talker_count;
};

void control_init(struct control *c, struct emulator *e);
void control_done(struct control *c);

/* Listens at a path; a socket there that nobody listens at any more is replaced. 0 or a negative
 * errno (-EADDRINUSE: somebody listens). */
int control_listen(struct control *c, const char *path);
/* Commands from standard input, replies to standard output; its end is the emulator's. */
int control_stdin(struct control *c);

#endif
