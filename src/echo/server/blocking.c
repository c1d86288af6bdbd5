/* Read, send, again: see blocking.h. */
#include "echo/server/blocking.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* 0, or a positive errno. The first attempt does not wait, only to see whether it would have to. */
static int send_all(int fd, const char *bytes, size_t len, struct counters *counters)
{
	ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	size_t sent = n > 0 ? (size_t)n : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return errno;
	counters_add(counters, COUNTER_BYTES, sent);
	if (sent < len)
		counters_add(counters, COUNTER_STALLED, 1);
	while (sent < len) {
		n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		sent += (size_t)n;
		counters_add(counters, COUNTER_BYTES, (uint64_t)n);
	}
	return 0;
}

/* How it ended: 0 by the client's end, otherwise a positive errno. */
static int echo(int fd, struct counters *counters)
{
	char buffer[BLOCKING_BUFFER_BYTES];

	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		counters_add(counters, COUNTER_READS, 1);
		err = send_all(fd, buffer, (size_t)n, counters);
		if (err)
			return err;
	}
}

void blocking_serve_take(int fd, struct counters *counters)
{
	int err = echo(fd, counters);

	counters_add(counters, err ? counter_of_error(err) : COUNTER_ENDED, 1);
	close(fd);
	counters_subtract(counters, COUNTER_OPEN, 1);
}
