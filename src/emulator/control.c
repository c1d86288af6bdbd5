/* Lines from descriptors to execute(), replies back. Nobody holds up the packets: a client that
 * does not read its replies is closed; while nobody reads standard output, standard input is not
 * read. */
#include "emulator/control.h"

#include "emulator/execute.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct talker {
	struct watch watch; /* of what it says */
	struct list node;
	struct control *control;
	int fd;
	bool is_stdin;
	struct watch room; /* of standard output, while something waits for it: */
	char *rest;	   /* of a reply, */
	size_t rest_len;
	size_t at, count; /* and what was read and is not yet obeyed */
	char bytes[COMMAND_BYTES_MAX];
	size_t len;
	bool is_cut; /* the line is too long: its rest is skipped */
	char line[COMMAND_BYTES_MAX];
};

void control_init(struct control *c, struct emulator *e)
{
	*c = (struct control){.emulator = e, .listen_fd = -1};
	list_init(&c->talkers);
}

/* When a reply still waits, the emulator is at its end, and may wait for who reads it. */
static void hang_up(struct talker *t)
{
	struct control *c = t->control;

	emulator_unwatch(c->emulator, t->rest ? STDOUT_FILENO : t->fd);
	if (t->rest)
		fwrite(t->rest, 1, t->rest_len, stdout);
	free(t->rest);
	if (t->is_stdin)
		c->emulator->is_ending = true;
	else
		close(t->fd);
	list_remove(&t->node);
	c->talker_count--;
	free(t);
}

void control_done(struct control *c)
{
	list_for_each_safe(node, &c->talkers)
		hang_up(container_of(node, struct talker, node));
	if (c->listen_fd < 0)
		return;
	emulator_unwatch(c->emulator, c->listen_fd);
	close(c->listen_fd);
	unlink(c->address.sun_path);
}

/* To standard output, what there is room for; to nobody, all of it. The flag is not ours alone:
 * other processes may write there. */
static size_t speak(const char *reply, size_t len)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	size_t said = 0;
	ssize_t n;

	fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	do {
		n = write(STDOUT_FILENO, reply + said, len - said);
		said += n > 0 ? (size_t)n : 0;
	} while (n > 0 && said < len);
	if (n < 0 && errno != EAGAIN)
		said = len;
	fcntl(STDOUT_FILENO, F_SETFL, flags);
	return said;
}

/* A reply on standard output. False: it waits for room, and so do further commands. */
static bool say(struct talker *t, const char *reply, size_t len)
{
	size_t said = speak(reply, len);

	if (said == len)
		return true;
	t->rest_len = len - said;
	t->rest = malloc(t->rest_len);
	if (!t->rest)
		abort();
	memcpy(t->rest, reply + said, t->rest_len);
	emulator_unwatch(t->control->emulator, t->fd);
	emulator_watch_room(t->control->emulator, STDOUT_FILENO, &t->room);
	return false;
}

/* All of it; or false, and the talker is gone or waits. */
static bool answer(struct talker *t, const char *reply, size_t len)
{
	if (t->is_stdin)
		return say(t, reply, len);
	if (send(t->fd, reply, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return true;
	hang_up(t);
	return false;
}

static bool obey(struct talker *t, const char *line)
{
	char *reply = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&reply, &len);
	bool is_there;

	if (!out)
		return true;
	execute(t->control->emulator, line, out);
	fclose(out);
	is_there = reply == NULL || len == 0 || answer(t, reply, len);
	free(reply);
	return is_there;
}

static bool obey_line(struct talker *t)
{
	static const char too_long[] = "error: line: expected fewer bytes\n";
	bool is_cut = t->is_cut;

	if (t->len > 0 && t->line[t->len - 1] == '\r')
		t->len--;
	t->line[t->len] = '\0';
	t->len = 0;
	t->is_cut = false;
	return is_cut ? answer(t, too_long, sizeof(too_long) - 1) : obey(t, t->line);
}

static void take(struct talker *t)
{
	while (t->at < t->count) {
		char byte = t->bytes[t->at++];

		if (byte == '\n') {
			if (!obey_line(t))
				return;
		} else if (t->len + 1 < sizeof(t->line)) {
			/* A NUL would hide what follows; it is no printable byte, and refused. */
			t->line[t->len++] = byte ? byte : '\1';
		} else {
			t->is_cut = true;
		}
	}
}

static void on_bytes(struct watch *w)
{
	struct talker *t = container_of(w, struct talker, watch);
	ssize_t n = read(t->fd, t->bytes, sizeof(t->bytes));

	t->at = 0;
	t->count = n > 0 ? (size_t)n : 0;
	if (n > 0)
		take(t);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		hang_up(t);
}

/* Of standard output, where a reply waits. */
static void on_room(struct watch *w)
{
	struct talker *t = container_of(w, struct talker, room);
	size_t said = speak(t->rest, t->rest_len);

	t->rest_len -= said;
	memmove(t->rest, t->rest + said, t->rest_len);
	if (t->rest_len > 0)
		return;
	free(t->rest);
	t->rest = NULL;
	emulator_unwatch(t->control->emulator, STDOUT_FILENO);
	emulator_watch(t->control->emulator, t->fd, &t->watch);
	take(t);
}

static int talk(struct control *c, int fd, bool is_stdin)
{
	struct talker *t = malloc(sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	*t = (struct talker){.watch = {on_bytes},
			     .control = c,
			     .fd = fd,
			     .is_stdin = is_stdin,
			     .room = {on_room}};
	err = emulator_watch(c->emulator, fd, &t->watch);
	if (err) {
		free(t);
		return err;
	}
	list_push_back(&c->talkers, &t->node);
	c->talker_count++;
	return 0;
}

static void on_client(struct watch *w)
{
	struct control *c = container_of(w, struct control, watch);
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (c->talker_count >= TALKERS_MAX || talk(c, fd, false))
		close(fd);
}

/* True when a socket is there that nobody listens at: its owner was killed. */
static bool is_stale(int fd, const struct sockaddr_un *address)
{
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

static int bind_path(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address;

	if (bind(fd, any, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_stale(fd, address))
		return -EADDRINUSE;
	unlink(address->sun_path);
	return bind(fd, any, sizeof(*address)) < 0 ? -errno : 0;
}

int control_listen(struct control *c, const char *path)
{
	int fd, err;

	c->address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(c->address.sun_path))
		return -ENAMETOOLONG;
	memcpy(c->address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = bind_path(fd, &c->address);
	if (err) {
		close(fd);
		return err;
	}
	c->listen_fd = fd;
	c->watch.on_ready = on_client;
	if (listen(fd, (int)TALKERS_MAX) < 0)
		return -errno;
	return emulator_watch(c->emulator, fd, &c->watch);
}

int control_stdin(struct control *c)
{
	return talk(c, STDIN_FILENO, true);
}
