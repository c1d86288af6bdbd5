/* A file of edits, one a line, of which all are done or none: read whole before the relay hears of
 * it, then sent without waiting for each reply. */
#ifndef MCAST_BATCH_H
#define MCAST_BATCH_H

#include "common/base/fail.h"
#include "mcast/client/edit.h"
#include "mcast/client/relay.h"

struct batch_step {
	size_t line;
	struct edit edit;
};

struct batch {
	const char *file; /* its name, borrowed */
	struct batch_step *steps;
	size_t count, room;
};

/* "-" is standard input. What is wrong in it is said line by line, and EXIT_FAILED returned. */
enum exit_code batch_read(struct batch *b, const char *file);
void batch_done(struct batch *b);

/* EXIT_DONE: all of it is in force, and `ret_reply` is that to the commit. EXIT_REFUSED: nothing
 * was applied; the lines at fault are said, and `ret_reply` is the first refusal. EXIT_FAILED: said
 * how far it came; there is no reply. The caller owns the reply. `path` is the relay's, for that.
 */
enum exit_code batch_send(const struct batch *b, struct relay *r, const char *path,
			  json_t **ret_reply);

#endif
