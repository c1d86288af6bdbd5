/* Reaches host:port: looks the name up (every time; numeric addresses are not looked up), tries
 * its addresses one after the other, and hands over a connected, non-blocking socket. */
#ifndef IO_DIALER_H
#define IO_DIALER_H

#include "common/io/worker.h"

#include <sys/socket.h>

struct dialer;

/* `fd` >= 0: connected, the callee's; else `err` is a negative errno or UV_E* and `why` says
 * which address and what happened. The dialer is gone when this is called. */
typedef void dialer_done(void *user, int fd, int err, const char *why);

/* Always leads to exactly one call of `done`, from the loop, unless dialer_cancel comes first.
 * `timeout_ms` covers all of it. Aborts when memory is gone. */
struct dialer *dialer_start(struct worker *w, const char *host, uint16_t port, uint32_t timeout_ms,
			    dialer_done *done, void *user);
/* Not once `done` was called. */
void dialer_cancel(struct dialer *d);

#endif
