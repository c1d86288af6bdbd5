/* The comm socket: one port, or one unix socket; three dialects told apart by the first byte of a
 * connection (the original's one-byte commands, at a port only; JSON lines; HTTP GET;
 * docs/protocol.md "The comm socket"). All become requests with an operation's name and JSON
 * arguments; the daemon answers each once, now or later, and control.c speaks the answer in the
 * dialect it was asked in.
 *
 * HTTP asks the daemon, too: /healthz the operation `health_check` (its reply is the body; 503
 * unless "live" is true in it), /status `stats` and then `health_check`, /metrics the same two, of
 * which it makes the metrics of the modules of a chain (io/metrics). A daemon that is none of them
 * calls control_own_metrics.
 *
 * Everything here runs on the daemon's main loop. */
#ifndef IO_CONTROL_H
#define IO_CONTROL_H

#include "common/base/limits.h"

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

struct control;
struct control_request;

/* Must lead to exactly one control_reply_* for the request, also after the caller is gone (the
 * reply is then dropped). `op` and `args` (a JSON object, never NULL) are borrowed and live
 * until the reply.
 *   health_check reset close stats paths sessions update_topo_pre update_topo abort_topo ...
 * update_topo_pre has args {"addresses": [{"host": "10.0.0.1", "port": 7000, "ratio": 3}, ...],
 * "wait": bool}; ratio is absent in the one-byte dialect and may be absent in JSON. The
 * arguments of a JSON line are passed as they came, with "op": the daemon checks them. */
typedef void control_handle(void *user, struct control_request *req);

const char *control_op(const struct control_request *req);
const json_t *control_args(const struct control_request *req);

/* {"ok": true, ...body}; `body_take` (an object or NULL) is consumed. */
void control_reply_ok(struct control_request *req, json_t *body_take);
/* {"ok": false, "code": code, "error": text} */
void control_reply_error(struct control_request *req, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Listens on host:port (numeric or name; looked up with getaddrinfo once, at start). 0 or a
 * negative errno; the one clear line is in `ret_why` then. */
int control_open(uv_loop_t *loop, const char *host, uint16_t port, control_handle *handle,
		 void *user, struct control **ret, char ret_why[256]);

/* The same at a unix socket of mode 0660, without the one-byte dialect. Commands are taken of root,
 * of the user that the process runs as, and of the members of the group that the socket file
 * belongs to at that time (it may be given to another one); all others are hung up on, and that is
 * logged. A socket that nobody listens at any more is replaced, anything else at `path` is an
 * error. The file is removed by control_close. Both results are as above. */
int control_open_unix(uv_loop_t *loop, const char *path, control_handle *handle, void *user,
		      struct control **ret, char ret_why[WHY_BYTES_MAX]);

/* To be called before the loop turns: from now on GET /metrics asks the operation `metrics`, and
 * the text "text" of the reply is the body (Prometheus text, version 0.0.4): control_reply_ok(req,
 * json_pack("{s:s}", "text", text)); */
void control_own_metrics(struct control *c);

/* Where control_open listens: port 0 was given and the kernel chose. */
uint16_t control_port(const struct control *c);

/* Stops accepting, lets replies that are under way go out for at most CONTROL_CLOSE_MS, closes
 * all; `on_closed` (or NULL) is called last. Requests without a reply by then are forgotten and
 * must not be replied to any more. */
void control_close(struct control *c, void (*on_closed)(void *user), void *user);

#endif
