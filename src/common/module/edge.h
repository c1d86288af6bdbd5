/* The outer side of a session: the client's socket at the ingress, the server's at the egress.
 * Reading is done when the tunnel asks (late binding), writing once at the end of a turn.
 *
 * Until both streams have ended in order the socket is abortive (SO_LINGER {1, 0}), so that
 * whatever ends it early, also the death of the process, is a reset and never a clean end. */
#ifndef MODULE_EDGE_H
#define MODULE_EDGE_H

#include "common/base/hostport.h"
#include "common/io/conn.h"
#include "common/io/dialer.h"
#include "common/module/end.h"

/* How reaching the server went (err 0: connected). */
typedef void edge_result(void *user, int err, const char *why);

struct edge {
	struct conn conn;
	struct end *end;
	struct session *session; /* NULL once one of both has let go */
	struct list node;	 /* end.edges, or end.closing */
	struct dialer *dialer;	 /* while it connects, */
	edge_result *on_result;	 /* and who wants to know how that went; may be NULL */
	void *result_user;
	struct deferred deliver;
	bool is_open;	   /* conn is in use */
	bool is_sink_full; /* waits until the socket takes more */
	int sink_error;	   /* writing failed; reading goes on to what came before */
	uint64_t close_us; /* waits until the kernel has sent all, then resets; 0: it does not */
	char peer[HOSTPORT_TEXT_MAX];
};

/* Ingress: a client. The session begins at once. False when it cannot (the client is reset). */
bool edge_accept_take(struct end *e, int fd, const struct sockaddr_storage *from);

/* Egress: reaches the server for a session. */
void edge_connect(struct end *e, struct session *s, const char *host, uint16_t port,
		  edge_result *on_result, void *user);

/* tunnel_ops */
ssize_t edge_pull(struct session *s, uint8_t *buf, size_t size);
void edge_deliverable(struct session *s);
void edge_ended(struct session *s, uint32_t code, const char *reason);

/* Resets whose bytes have all been sent are carried out; the others after reset_wait. */
void edge_look_at_closing(struct end *e);
/* Resets what lingers after the tunnel is gone. */
void edge_abort_all(struct end *e);

#endif
