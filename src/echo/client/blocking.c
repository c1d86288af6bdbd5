/* Send what may be sent, wait for what comes back. At depth 1 that is one send(2) and one recv(2)
 * for each message. When more is outstanding than the sockets hold, the server does not read on
 * until we do: so nothing here waits for room to send alone. */
#include "echo/client/blocking.h"

#include "echo/client/now.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* `ret_is_full`: there is more to send and no room for it. */
static int send_all_that_fits(const struct blocking *b, bool *ret_is_full)
{
	const uint8_t *bytes;
	size_t len;

	*ret_is_full = false;
	while ((len = exchange_next(b->x, b->pattern, &bytes)) > 0) {
		uint64_t before_ns = now_ns();
		ssize_t n = send(b->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			*ret_is_full = true;
			return 0;
		}
		if (n < 0)
			return -errno;
		exchange_sent(b->x, (size_t)n, before_ns);
	}
	return 0;
}

/* Until there is something to read or room to send. */
static int wait_for_either(const struct blocking *b)
{
	struct pollfd poll_fd = {.fd = b->fd, .events = POLLIN | POLLOUT};
	int count = poll(&poll_fd, 1, b->timeout_ms);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	return count == 0 ? -ETIMEDOUT : 0;
}

static int take(const struct blocking *b, size_t len)
{
	uint64_t now = now_ns();
	struct news news;
	int err = exchange_received(b->x, b->pattern, b->buffer, len, now, &news);

	if (err)
		return err;
	meter_add(b->meter, &news, now);
	if (meter_is_over(b->meter, now))
		exchange_stop(b->x);
	return 0;
}

/* Waits for bytes unless it is told not to. */
static int receive(const struct blocking *b, int flags)
{
	ssize_t n = recv(b->fd, b->buffer, PATTERN_PIECE_MAX, flags);

	if (n > 0)
		return take(b, (size_t)n);
	if (n == 0)
		return -ENODATA;
	if (errno == EINTR || (errno == EAGAIN && (flags & MSG_DONTWAIT)))
		return 0;
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

int blocking_run(const struct blocking *b)
{
	int err = 0;

	while (!err && !exchange_is_done(b->x)) {
		bool is_full;

		err = send_all_that_fits(b, &is_full);
		if (!err && is_full)
			err = wait_for_either(b);
		if (!err)
			err = receive(b, is_full ? MSG_DONTWAIT : 0);
	}
	return err;
}
