/* Where subflows arrive at an egress or proxy: listening addresses on the main thread, and the
 * way of each new connection to the worker that owns its tunnel. */
#ifndef MODULE_GATE_H
#define MODULE_GATE_H

#include "common/io/acceptor.h"
#include "common/module/daemon.h"

/* A connection that has said HELLO, on its way to a worker. */
struct arrival {
	struct message message;
	int fd;
	struct hello hello;
	struct conf_address listener; /* where it came in; its ratio */
	struct sockaddr_storage from;
	void (*arrived)(struct worker *w, struct arrival *a);
};

/* Runs on the tunnel's worker. The descriptor is the callee's; `a` is freed afterwards. */
typedef void gate_arrived(struct worker *w, struct arrival *a);

struct gate {
	struct daemon *daemon;
	gate_arrived *arrived;
	struct list listeners; /* struct gate_listener */
};

/* Binds all addresses, in order; 0 or a negative errno and one line in `ret_why`: then none is
 * bound. Nothing is accepted before gate_start. */
int gate_open(struct gate *g, struct daemon *d, const struct conf_address *list, size_t count,
	      gate_arrived *arrived, char ret_why[256]);

/* A listener's ratio is shared by a tunnel's subflows on it: the weight of each of `count`, at most
 * PATHS_MAX. In parts of PATHS_MAX, so that a ratio of 1 can be shared too. */
uint32_t gate_weight(const struct conf_address *listener, size_t count);

/* Accepts on every address. */
int gate_start(struct gate *g);

/* Binds those of `list` that are not bound yet, and accepts on them. As gate_open on failure. */
int gate_add(struct gate *g, const struct conf_address *list, size_t count, char ret_why[256]);
/* Closes those that are not in `list`, and takes over the ratios of those that are. What came in
 * by the others stays. */
void gate_keep(struct gate *g, const struct conf_address *list, size_t count);
/* The ratio of what comes in by this listener from now on. */
void gate_set_ratio(struct gate *g, const struct conf_address *listener);
void gate_close(struct gate *g);

#endif
