/* What both kinds of rings have in common: see ring.h. */
#include "mcast/relay/ring.h"

#include <stdlib.h>
#include <unistd.h>

struct ring *ring_new(const struct ring_kind *kind)
{
	struct ring *r = calloc(1, kind->object_bytes);

	if (!r)
		abort();
	r->kind = kind;
	list_init(&r->node);
	for (size_t i = 0; i < RING_OWN_FDS_MAX; i++)
		r->fds[i] = -1;
	return r;
}

void ring_free(struct ring *r)
{
	list_remove(&r->node);
	if (r->board)
		r->kind->unmap(r);
	for (size_t i = 0; i < RING_OWN_FDS_MAX; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	free(r);
}

json_t *ring_to_message(const struct ring *r, const char *key)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", key, "ring", "id", (int)r->id,
			 "interface", (int)r->interface, "queue", (int)r->queue, "member",
			 (int)r->member, "seat", (int)r->seat, "size", (int)r->size);
}

size_t ring_fds(const struct ring *r, const struct steer *s, int ret[MESSAGE_FDS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < steer_fd_count(s->kind); i++)
		ret[count++] = s->fds[i];
	for (size_t i = 0; i < RING_OWN_FDS_MAX && r->fds[i] >= 0; i++)
		ret[count++] = r->fds[i];
	return count;
}

struct ring *ring_from_message(const struct ring_kind *kind, struct message *m, struct steer *s)
{
	size_t maps = steer_fd_count(kind->steer);
	struct ring *r;

	if (m->fd_count <= maps || m->fd_count > maps + RING_OWN_FDS_MAX ||
	    message_number(m, "id") >= BOARD_RINGS_MAX)
		return NULL;
	r = ring_new(kind);
	r->id = message_number(m, "id");
	r->interface = message_number(m, "interface");
	r->queue = message_number(m, "queue");
	r->member = message_number(m, "member");
	r->seat = message_number(m, "seat");
	r->size = message_number(m, "size");
	steer_done(s);
	s->kind = kind->steer;
	for (size_t i = 0; i < m->fd_count; i++) {
		*(i < maps ? &s->fds[i] : &r->fds[i - maps]) = m->fds[i];
		m->fds[i] = -1; /* so that message_done does not close it */
	}
	return r;
}
