/* Asking a relay: see relay.h. */
#include "mcast/client/relay.h"

#include "common/base/clock.h"
#include "common/base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Rules in one reply: at their longest they are half of CONTROL_REPLY_MAX. */
#define PART_COUNT 200

static const char *connect_error_text(int err)
{
	switch (err) {
	case -ENOENT:
		return "there is no such socket; expected that of a multicast_relay that runs";
	case -ECONNREFUSED:
		return "nobody listens there; expected a multicast_relay that runs";
	case -EACCES:
		return "not permitted; expected root, the relay's user or a member of the socket's "
		       "group";
	case -EAGAIN:
		return "no answer in time";
	default:
		return strerror(-err);
	}
}

/* A socket that does not block any more, or a negative errno. A full queue of the listener is
 * waited for by connect(2) itself, for as long as a send may take (unix(7)). */
static int connect_path(const struct sockaddr_un *sa, uint32_t timeout_ms)
{
	const struct timeval limit = {.tv_sec = timeout_ms / 1000,
				      .tv_usec = timeout_ms % 1000 * 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int relay_open(struct relay *r, const char *path, uint32_t timeout_ms, char ret_why[WHY_BYTES_MAX])
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (len == 0 || len >= sizeof(sa.sun_path)) {
		fail_why(ret_why, "a path of %zu bytes, expected 1 to %zu", len,
			 sizeof(sa.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(sa.sun_path, path, len + 1);
	fd = connect_path(&sa, timeout_ms);
	if (fd < 0) {
		fail_why(ret_why, "cannot connect: %s", connect_error_text(fd));
		return fd;
	}
	asker_init_take(&r->asker, fd);
	r->timeout_ms = timeout_ms;
	return 0;
}

void relay_close(struct relay *r)
{
	asker_done(&r->asker);
}

int relay_push(struct relay *r, const json_t *request, char ret_why[WHY_BYTES_MAX])
{
	int err = asker_push(&r->asker, request);

	if (err)
		fail_why(ret_why, "%s", asker_error_text(err));
	return err;
}

int relay_next(struct relay *r, json_t **ret_reply, char ret_why[WHY_BYTES_MAX])
{
	int err;

	r->asker.end_us = clock_now_us() + r->timeout_ms * US_PER_MS;
	err = asker_next(&r->asker, ret_reply);
	if (err)
		fail_why(ret_why, "%s", asker_error_text(err));
	return err;
}

int relay_ask(struct relay *r, const json_t *request, json_t **ret_reply,
	      char ret_why[WHY_BYTES_MAX])
{
	int err = relay_push(r, request, ret_why);

	return err ? err : relay_next(r, ret_reply, ret_why);
}

static int ask_part(struct relay *r, const char *op, size_t from, json_t **ret_reply,
		    char ret_why[WHY_BYTES_MAX])
{
	json_t *request = json_pack("{s:s, s:I, s:i}", "op", op, "from", (json_int_t)from, "count",
				    PART_COUNT);
	int err = relay_ask(r, request, ret_reply, ret_why);

	json_decref(request);
	return err;
}

int relay_ask_all(struct relay *r, const char *op, const char *key, json_t **ret_reply,
		  char ret_why[WHY_BYTES_MAX])
{
	json_t *all = json_array(), *reply = NULL;
	size_t before;
	bool is_ok;
	int err;

	do {
		json_decref(reply);
		before = json_array_size(all);
		err = ask_part(r, op, before, &reply, ret_why);
		if (err) {
			json_decref(all);
			return err;
		}
		is_ok = json_is_true(json_object_get(reply, "ok"));
		json_array_extend(all, json_object_get(reply, key));
	} while (is_ok && json_array_size(all) > before && json_array_size(all) <= RULES_MAX);
	if (is_ok)
		json_object_set(reply, key, all);
	json_decref(all);
	*ret_reply = reply;
	return 0;
}
