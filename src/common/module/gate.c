/* Listening addresses of an egress or proxy: see gate.h. */
#include "common/module/gate.h"

#include "common/base/hostport.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/io/listener.h"
#include "common/module/topo.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct gate_listener {
	struct list node;
	struct gate *gate;
	struct conf_address address;
	int fd;
	struct acceptor *acceptor;
};

static struct gate_listener *listener_of(struct list *node)
{
	return container_of(node, struct gate_listener, node);
}

static void hand_over(struct worker *w, struct message *m)
{
	struct arrival *a = container_of(m, struct arrival, message);

	a->arrived(w, a);
	free(a);
}

static void on_hello(void *user, int fd, const struct hello *hello,
		     const struct sockaddr_storage *from)
{
	struct gate_listener *l = user;
	struct daemon *d = l->gate->daemon;
	struct arrival *a = malloc(sizeof(*a));

	if (!a)
		abort();
	*a = (struct arrival){
		.message.run = hand_over,
		.fd = fd,
		.hello = *hello,
		.listener = l->address,
		.from = *from,
		.arrived = l->gate->arrived,
	};
	d->accepted++;
	worker_post(daemon_worker_for(d, &hello->tunnel), &a->message);
}

static void listener_free(struct gate_listener *l)
{
	list_remove(&l->node);
	acceptor_close(l->acceptor);
	close(l->fd);
	free(l);
}

static int bind_one(struct gate *g, const struct conf_address *a, char ret_why[256])
{
	struct gate_listener *l;
	int fd, err = listener_bind(a->host, a->port, &fd, ret_why);

	if (err < 0)
		return err;
	l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->gate = g;
	l->address = *a;
	l->fd = fd;
	list_push_back(&g->listeners, &l->node);
	return 0;
}

static int accept_on(struct gate_listener *l)
{
	const struct daemon *d = l->gate->daemon;
	char name[HOSTPORT_TEXT_MAX];

	hostport_text(l->address.host, l->address.port, name);
	return acceptor_open(&l->gate->daemon->main.loop, l->fd, name, d->conf.hello_wait_ms,
			     on_hello, l, &l->gate->daemon->rejected, &l->acceptor);
}

int gate_open(struct gate *g, struct daemon *d, const struct conf_address *list, size_t count,
	      gate_arrived *arrived, char ret_why[256])
{
	*g = (struct gate){.daemon = d, .arrived = arrived};
	list_init(&g->listeners);
	for (size_t i = 0; i < count; i++) {
		int err = bind_one(g, &list[i], ret_why);

		if (err < 0) {
			gate_close(g);
			return err;
		}
	}
	return 0;
}

uint32_t gate_weight(const struct conf_address *listener, size_t count)
{
	assert(count > 0 && count <= PATHS_MAX);
	return listener->ratio * PATHS_MAX / (uint32_t)count;
}

int gate_start(struct gate *g)
{
	list_for_each(node, &g->listeners) {
		struct gate_listener *l = listener_of(node);
		int err = l->acceptor ? 0 : accept_on(l);

		if (err < 0)
			return err;
	}
	return 0;
}

static bool is_bound(const struct gate *g, const struct conf_address *a)
{
	list_for_each(node, &g->listeners)
		if (conf_address_is_same(&listener_of(node)->address, a))
			return true;
	return false;
}

int gate_add(struct gate *g, const struct conf_address *list, size_t count, char ret_why[256])
{
	int err = 0;

	for (size_t i = 0; i < count && err == 0; i++)
		if (!is_bound(g, &list[i]))
			err = bind_one(g, &list[i], ret_why);
	if (err == 0) {
		err = gate_start(g);
		if (err < 0)
			snprintf(ret_why, 256, "cannot accept: %s", uv_strerror(err));
	}
	if (err == 0)
		return 0;
	/* Only what was there before accepts already. */
	list_for_each_safe(node, &g->listeners)
		if (!listener_of(node)->acceptor)
			listener_free(listener_of(node));
	return err;
}

void gate_keep(struct gate *g, const struct conf_address *list, size_t count)
{
	list_for_each_safe(node, &g->listeners) {
		struct gate_listener *l = listener_of(node);
		const struct conf_address *a = topo_find(list, count, &l->address);

		if (a)
			l->address.ratio = a->ratio;
		else
			listener_free(l);
	}
}

void gate_set_ratio(struct gate *g, const struct conf_address *listener)
{
	list_for_each(node, &g->listeners) {
		struct conf_address *a = &listener_of(node)->address;

		if (conf_address_is_same(a, listener))
			a->ratio = listener->ratio;
	}
}

void gate_close(struct gate *g)
{
	list_for_each_safe(node, &g->listeners)
		listener_free(listener_of(node));
}
