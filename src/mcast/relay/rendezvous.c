/* Where workers without a supervisor look for one: a SOCK_SEQPACKET socket beside the control
 * socket. Its file is left behind by a supervisor that leaves its workers, and says that there are
 * some. */
#include "mcast/relay/supervisor.h"

#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void on_worker(uv_poll_t *poll, int status, int events)
{
	struct supervisor *s = poll->data;
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);
	int fd = accept4(s->rendezvous_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)status;
	(void)events;
	if (fd < 0)
		return;
	if (s->is_ending) {
		close(fd);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid()) {
		log_warn("a process of user %u came to %s, and is sent away", peer.uid,
			 s->rendezvous_path);
		close(fd);
		return;
	}
	staff_adopt(s, fd, peer.pid);
}

int rendezvous_open(struct supervisor *s, bool *ret_was_left, char ret_why[WHY_BYTES_MAX])
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int len = snprintf(s->rendezvous_path, sizeof(s->rendezvous_path), "%s.workers",
			   s->options->control_socket);
	mode_t mask;

	if (len < 0 || (size_t)len >= sizeof(at.sun_path))
		return fail_why(ret_why, "--control-socket \"%s\": expected at most %zu characters",
				s->options->control_socket,
				sizeof(at.sun_path) - sizeof(".workers"));
	memcpy(at.sun_path, s->rendezvous_path, (size_t)len + 1);
	*ret_was_left = unlink(at.sun_path) == 0;
	s->rendezvous_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	if (s->rendezvous_fd < 0 ||
	    bind(s->rendezvous_fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(s->rendezvous_fd, (int)BOARD_WORKERS_MAX) < 0) {
		umask(mask);
		return fail_why(ret_why, "%s: %s", at.sun_path, strerror(errno));
	}
	umask(mask);
	uv_poll_init(&s->loop, &s->rendezvous, s->rendezvous_fd);
	s->rendezvous.data = s;
	return uv_poll_start(&s->rendezvous, UV_READABLE, on_worker);
}
