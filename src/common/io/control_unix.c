/* The comm socket as a unix socket: who may bind the path, and who may give commands. What it has
 * in common with TCP is in control.c. */
#include "common/base/fail.h"
#include "common/base/log.h"
#include "common/io/control_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0660

/* ---- binding ---- */

static int bind_why(char ret_why[WHY_BYTES_MAX], const char *path, int err, const char *why)
{
	fail_why(ret_why, "control socket %.160s: %s", path, why);
	return err;
}

/* 0: whoever bound what is there has ended without removing it, and it is gone now. A file that is
 * no socket answers like a socket that nobody listens at. */
static int remove_stale(const struct sockaddr_un *sa, char ret_why[WHY_BYTES_MAX])
{
	struct stat st;
	int fd, err;

	if (lstat(sa->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return bind_why(ret_why, sa->sun_path, -EEXIST,
				"there is a file that is no socket; expected a free path");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return bind_why(ret_why, sa->sun_path, -errno, strerror(errno));
	err = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? errno : 0;
	close(fd);
	if (err == ENOENT)
		return 0; /* its owner has just removed it */
	if (err == EACCES)
		return bind_why(ret_why, sa->sun_path, -EACCES,
				"there is a socket that we may not connect to; expected a free "
				"path");
	if (err != ECONNREFUSED)
		return bind_why(ret_why, sa->sun_path, -EADDRINUSE,
				"another process listens there; expected a free path");
	if (unlink(sa->sun_path) && errno != ENOENT)
		return bind_why(ret_why, sa->sun_path, -errno, strerror(errno));
	return 0;
}

static int bind_once(int fd, const struct sockaddr_un *sa)
{
	return bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? -errno : 0;
}

/* The file is born with the mode of the descriptor, less the umask (unix(7) does not tell; the
 * kernel's unix_bind_bsd does): at no time is it open to more than the group, and nobody gets in
 * before it listens. */
static int bind_file(int fd, const struct sockaddr_un *sa, char ret_why[WHY_BYTES_MAX])
{
	int err = fchmod(fd, FILE_MODE) ? -errno : bind_once(fd, sa);

	if (err == -EADDRINUSE) {
		err = remove_stale(sa, ret_why);
		if (err)
			return err;
		err = bind_once(fd, sa);
	}
	if (err)
		return bind_why(ret_why, sa->sun_path, err, strerror(-err));
	if (chmod(sa->sun_path, FILE_MODE)) {
		err = bind_why(ret_why, sa->sun_path, -errno, strerror(errno));
		unlink(sa->sun_path);
	}
	return err;
}

int control_unix_bind(const char *path, int *ret_fd, struct control_file *ret_file,
		      char ret_why[WHY_BYTES_MAX])
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control_file file = {0};
	size_t len = strlen(path);
	struct stat st;
	int fd, err;

	if (len == 0 || len >= sizeof(sa.sun_path)) {
		fail_why(ret_why,
			 "control socket \"%.120s\": a path of %zu bytes, expected 1 to %zu", path,
			 len, sizeof(sa.sun_path) - 1);
		return len == 0 ? -EINVAL : -ENAMETOOLONG;
	}
	memcpy(sa.sun_path, path, len + 1);
	memcpy(file.path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return bind_why(ret_why, path, -errno, strerror(errno));
	err = bind_file(fd, &sa, ret_why);
	if (err) {
		close(fd);
		return err;
	}
	if (lstat(path, &st) == 0) {
		file.device = st.st_dev;
		file.inode = st.st_ino;
	}
	*ret_fd = fd;
	*ret_file = file;
	return 0;
}

static void unix_remove(struct control *c)
{
	struct stat st;

	if (lstat(c->file.path, &st) == 0 && st.st_dev == c->file.device &&
	    st.st_ino == c->file.inode)
		unlink(c->file.path);
}

/* ---- who may give commands ---- */

/* The groups of the peer beside its first, when it connected; malloc'd. 0 of them when they cannot
 * be told. */
static size_t peer_groups(int fd, gid_t **ret_groups)
{
	socklen_t bytes = 0;

	*ret_groups = NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 || errno != ERANGE)
		return 0;
	*ret_groups = malloc(bytes);
	if (!*ret_groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, *ret_groups, &bytes))
		return 0;
	return bytes / sizeof(gid_t);
}

static bool is_member(int fd, const struct ucred *peer, gid_t group)
{
	gid_t *groups;
	size_t count;
	bool is_one = peer->gid == group;

	if (is_one)
		return true;
	count = peer_groups(fd, &groups);
	for (size_t i = 0; i < count && !is_one; i++)
		is_one = groups[i] == group;
	free(groups);
	return is_one;
}

/* The file's mode keeps others out already, unless somebody has changed it. */
static bool may_command(const struct control *c, int fd, const struct ucred *peer)
{
	struct stat st;

	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	return lstat(c->file.path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       is_member(fd, peer, st.st_gid);
}

static void log_stranger(struct control *c, const char *peer)
{
	uint32_t dropped;
	bool may = line_limit_take(&c->file.lines, uv_now(c->deadline.loop), &dropped);

	if (dropped)
		log_warn("comm: closed %u more peers that may not give commands", dropped);
	if (may)
		log_warn("comm: closed %s: it may not give commands, expected root, the user of "
			 "this process or a member of the socket's group",
			 peer);
}

static bool unix_admit(struct control_conn *conn)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	uv_os_fd_t fd;

	if (uv_fileno(&conn->socket.handle, &fd) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		log_warn("comm: closed a peer: who it is cannot be told");
		return false;
	}
	snprintf(conn->peer, sizeof(conn->peer), "process %d of user %u", (int)peer.pid,
		 (unsigned)peer.uid);
	if (may_command(conn->control, fd, &peer))
		return true;
	log_stranger(conn->control, conn->peer);
	return false;
}

/* ---- the transport ---- */

static void unix_init(uv_loop_t *loop, union control_socket *ret)
{
	uv_pipe_init(loop, &ret->pipe, 0);
}

static int unix_open(union control_socket *s, int fd)
{
	return uv_pipe_open(&s->pipe, fd);
}

const struct control_transport control_unix = {
	.init = unix_init,
	.open = unix_open,
	.admit = unix_admit,
	.remove = unix_remove,
};
