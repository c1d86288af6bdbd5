/* A listening TCP socket. Binding is separate from accepting, so that a wrong address or a port
 * in use is found before anything starts, and so that several loops can share one socket. */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

/* Binds and listens (SO_REUSEADDR, IPV6_V6ONLY off for "::"); `host` is looked up once. 0 and a
 * non-blocking descriptor, or a negative errno and one clear line in `ret_why`. */
int listener_bind(const char *host, uint16_t port, int *ret_fd, char ret_why[256]);

struct listener;

/* A client: `fd` is non-blocking and the callee's. Returns false to stop accepting for now
 * (listener_resume goes on). It may close the listener. */
typedef bool listener_accepted(void *user, int fd, const struct sockaddr_storage *from);

/* Accepts from a duplicate of `fd` on `loop` (the caller keeps `fd`; `name` is copied). On
 * EMFILE and its kind it says so once, stops, and tries again after ACCEPT_RETRY_MS and at
 * listener_resume. 0 or a negative errno. */
int listener_open(uv_loop_t *loop, int fd, const char *name, listener_accepted *accepted,
		  void *user, struct listener **ret);
void listener_resume(struct listener *l);
void listener_pause(struct listener *l);
/* Frees it, by way of the loop. NULL is fine. */
void listener_close(struct listener *l);

#endif
