/* A queue before a SOCK_SEQPACKET socket: see channel.h. */
#include "mcast/relay/channel.h"

#include "common/base/log.h"
#include "mcast/common/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct waiting {
	struct list node;
	char *text;
	uint32_t slot;
	int fds[MESSAGE_FDS_MAX];
	size_t fd_count;
};

/* Who lets so many wait has stopped: two for each rule that there may be. */
#define WAITING_MAX (4 * BOARD_SLOTS_MAX)
/* Messages that are heard before others of the loop have their turn. */
#define HEARD_MAX 256

static void waiting_free(struct waiting *w)
{
	for (size_t i = 0; i < w->fd_count; i++)
		close(w->fds[i]);
	list_remove(&w->node);
	free(w->text);
	free(w);
}

/* ---- out ---- */

static void update_events(struct channel *c);

/* What could not be sent would be missing for ever: the other end is given up, which reading tells
 * when the loop turns. */
static void break_off(struct channel *c, int error)
{
	if (!c->is_broken)
		log_error("a worker cannot be told: %s", strerror(error));
	c->is_broken = true;
	shutdown(c->fd, SHUT_RDWR);
}

static void push_waiting(struct channel *c, char *text_take, const int *fds, size_t fd_count,
			 uint32_t slot)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->text = text_take;
	w->slot = slot;
	list_push_back(&c->waiting, &w->node);
	if (++c->waiting_count > WAITING_MAX) {
		break_off(c, ETIMEDOUT);
		return;
	}
	for (size_t i = 0; i < fd_count; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			break_off(c, errno);
			return;
		}
		w->fds[w->fd_count++] = fd;
	}
	update_events(c);
}

/* False: not now. */
static bool try_to_send(struct channel *c, const char *text, const int *fds, size_t fd_count)
{
	int err = message_send(c->fd, text, fds, fd_count);

	/* That nobody is there, reading tells. */
	if (err && err != -EAGAIN && err != -EPIPE && err != -ECONNRESET)
		break_off(c, -err);
	return err != -EAGAIN;
}

static void on_sent(struct channel *c, uint32_t slot)
{
	if (slot != CHANNEL_NO_SLOT)
		c->ops->sent(c, slot);
}

void channel_send(struct channel *c, json_t *body_take, const int *fds, size_t fd_count,
		  uint32_t slot)
{
	char *text = json_dumps(body_take, JSON_COMPACT);

	json_decref(body_take);
	if (!text)
		abort();
	if (c->is_closing) {
		free(text);
		return;
	}
	if (!list_is_empty(&c->waiting) || !try_to_send(c, text, fds, fd_count)) {
		push_waiting(c, text, fds, fd_count, slot);
		return;
	}
	free(text);
	on_sent(c, slot);
}

static void send_waiting(struct channel *c)
{
	while (!list_is_empty(&c->waiting)) {
		struct waiting *w = list_first(&c->waiting, struct waiting, node);
		uint32_t slot;

		if (!try_to_send(c, w->text, w->fds, w->fd_count))
			return;
		slot = w->slot;
		waiting_free(w);
		c->waiting_count--;
		on_sent(c, slot);
	}
	update_events(c);
}

/* ---- in ---- */

static void hear(struct channel *c)
{
	for (int i = 0; i < HEARD_MAX && !c->is_closing; i++) {
		struct message m;
		int err = message_receive(c->fd, &m);

		if (err == -EAGAIN)
			return;
		if (err) {
			c->is_broken |= err == -EPROTO;
			c->ops->gone(c);
			return;
		}
		c->ops->heard(c, &m);
		message_done(&m);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *c = poll->data;

	if (status < 0 || (events & UV_READABLE))
		hear(c);
	if (!c->is_closing && (events & UV_WRITABLE))
		send_waiting(c);
}

static void update_events(struct channel *c)
{
	int events = UV_READABLE;

	if (!list_is_empty(&c->waiting))
		events |= UV_WRITABLE;
	if (!c->is_closing)
		uv_poll_start(&c->poll, events, on_poll);
}

/* ---- life ---- */

void channel_open(struct channel *c, uv_loop_t *loop, int fd_take, const struct channel_ops *ops)
{
	*c = (struct channel){.ops = ops, .fd = fd_take};
	list_init(&c->waiting);
	message_prepare(fd_take);
	uv_poll_init(loop, &c->poll, fd_take);
	c->poll.data = c;
	update_events(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct channel *c = handle->data;

	close(c->fd);
	c->ops->closed(c);
}

void channel_close(struct channel *c)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	list_for_each_safe(node, &c->waiting)
		waiting_free(container_of(node, struct waiting, node));
	uv_close((uv_handle_t *)&c->poll, on_closed);
}
