/* JSON lines from the client's side: see asker.h. */
#include "common/io/asker.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_BYTES (16u * KIB)

void asker_init_take(struct asker *a, int fd_take)
{
	*a = (struct asker){.fd = fd_take};
}

void asker_done(struct asker *a)
{
	if (a->fd >= 0)
		close(a->fd);
	free(a->out.bytes);
	free(a->in.bytes);
	*a = (struct asker){.fd = -1};
}

const char *asker_error_text(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "no answer in time";
	case -ECONNABORTED:
		return "it closed the connection without an answer";
	case -EPROTO:
	case -EMSGSIZE:
		return "what answers there is no comm socket";
	default:
		return strerror(-err);
	}
}

int asker_await(int fd, short events, uint64_t end_us, short *ret_events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int rc;

	do {
		uint64_t now_us = clock_now_us();
		uint64_t left_us = now_us < end_us ? end_us - now_us : 0;

		rc = poll(&p, 1, (int)((left_us + US_PER_MS - 1) / US_PER_MS));
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	if (rc == 0)
		return -ETIMEDOUT;
	*ret_events = p.revents;
	return 0;
}

/* ---- bytes ---- */

/* Room for `len` more behind `end`: what is used up at the front makes room first. */
static int make_room(struct asker_bytes *b, size_t len)
{
	size_t size = b->size ? b->size : ROOM_BYTES;
	char *bytes;

	if (b->size - b->end >= len)
		return 0;
	if (b->at > 0) {
		memmove(b->bytes, b->bytes + b->at, b->end - b->at);
		b->end -= b->at;
		b->at = 0;
	}
	while (size - b->end < len)
		size *= 2;
	if (size == b->size)
		return 0;
	bytes = realloc(b->bytes, size);
	if (!bytes)
		return -ENOMEM;
	b->bytes = bytes;
	b->size = size;
	return 0;
}

int asker_push(struct asker *a, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	if (!text || make_room(&a->out, len + 1)) {
		free(text);
		return -ENOMEM;
	}
	text[len] = '\n'; /* in place of the NUL */
	memcpy(a->out.bytes + a->out.end, text, len + 1);
	a->out.end += len + 1;
	free(text);
	return 0;
}

size_t asker_unsent(const struct asker *a)
{
	return a->out.end - a->out.at;
}

/* What there is room for. Who has hung up may have said why before: that is still to be read. */
static int send_some(struct asker *a)
{
	struct asker_bytes *out = &a->out;
	ssize_t sent;

	if (asker_unsent(a) == 0)
		return 0;
	sent = send(a->fd, out->bytes + out->at, asker_unsent(a), MSG_NOSIGNAL);
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		out->at = out->end;
	else if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	else
		out->at += (size_t)sent;
	if (out->at == out->end)
		out->at = out->end = 0;
	return 0;
}

/* What is there now. */
static int receive_some(struct asker *a)
{
	struct asker_bytes *in = &a->in;
	ssize_t got;

	if (in->end - in->at >= CONTROL_REPLY_MAX)
		return -EMSGSIZE;
	if (make_room(in, ROOM_BYTES / 2))
		return -ENOMEM;
	got = recv(a->fd, in->bytes + in->end, in->size - in->end, 0);
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		return -ECONNABORTED;
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	in->end += (size_t)got;
	return 0;
}

/* ---- replies ---- */

/* The length of the line at the front with its end, or 0 when it is not there whole. */
static size_t line_len(struct asker *a)
{
	const struct asker_bytes *in = &a->in;
	size_t len = in->end - in->at;
	const char *end = NULL;

	if (len > a->scanned)
		end = memchr(in->bytes + in->at + a->scanned, '\n', len - a->scanned);
	a->scanned = len;
	return end ? (size_t)(end - in->bytes) - in->at + 1 : 0;
}

static int take_reply(struct asker *a, size_t len, json_t **ret_reply)
{
	json_t *reply = json_loadb(a->in.bytes + a->in.at, len, 0, NULL);

	a->in.at += len;
	a->scanned = 0;
	if (!json_is_boolean(json_object_get(reply, "ok"))) {
		json_decref(reply);
		return -EPROTO;
	}
	*ret_reply = reply;
	return 0;
}

int asker_next(struct asker *a, json_t **ret_reply)
{
	size_t len = line_len(a);
	int err = send_some(a);

	while (!err && len == 0) {
		short events = asker_unsent(a) ? POLLIN | POLLOUT : POLLIN;

		err = asker_await(a->fd, events, a->end_us, &events);
		if (!err && events & POLLOUT)
			err = send_some(a);
		if (!err && events & ~POLLOUT)
			err = receive_some(a);
		len = line_len(a);
	}
	return len > 0 ? take_reply(a, len, ret_reply) : err;
}
