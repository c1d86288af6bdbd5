/* JSON and descriptors in packets: see message.h. */
#include "mcast/relay/message.h"

#include "mcast/relay/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A rule with RULE_OUTPUTS_MAX outputs of 150 bytes each is 77 KB. */
#define MESSAGE_BYTES_MAX (128u * KIB)

union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
};

void message_prepare(int fd)
{
	socket_set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, 4 * MESSAGE_BYTES_MAX);
}

int message_send(int fd, const char *text, const int *fds, size_t fd_count)
{
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	union ancillary ancillary = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count > 0) {
		m.msg_control = &ancillary;
		m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		ancillary.head.cmsg_level = SOL_SOCKET;
		ancillary.head.cmsg_type = SCM_RIGHTS;
		ancillary.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&ancillary.head), fds, fd_count * sizeof(int));
	}
	if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	/* Descriptors that nobody has taken yet, or memory: later. */
	return errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
}

static void take_descriptors(struct msghdr *m, struct message *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		ret->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret->fds, CMSG_DATA(c), ret->fd_count * sizeof(int));
	}
}

int message_receive(int fd, struct message *ret)
{
	static char bytes[MESSAGE_BYTES_MAX];
	struct iovec iov = {bytes, sizeof(bytes)};
	union ancillary ancillary;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &ancillary,
			   .msg_controllen = sizeof(ancillary)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -ECONNRESET;
	*ret = (struct message){0};
	take_descriptors(&m, ret);
	ret->body = json_loadb(bytes, (size_t)n, 0, NULL);
	if (json_is_object(ret->body) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	message_done(ret);
	return -EPROTO;
}

void message_done(struct message *m)
{
	for (size_t i = 0; i < m->fd_count; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	json_decref(m->body);
	*m = (struct message){0};
}

uint32_t message_number(const struct message *m, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(m->body, key));
}

size_t message_put_inputs(json_t *body, const struct message_inputs *in,
			  int ret_fds[MESSAGE_FDS_MAX])
{
	json_t *interfaces = json_array();
	int inputs = 0;
	size_t count = 0;

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		json_array_append_new(interfaces, json_integer((int)in->interfaces[i]));
		if (in->fds[i] < 0)
			continue;
		ret_fds[count++] = in->fds[i];
		inputs |= 1 << i;
	}
	if (in->dedup_fd >= 0)
		ret_fds[count++] = in->dedup_fd;
	json_object_set_new(body, "inputs", json_integer(inputs));
	json_object_set_new(body, "interfaces", interfaces);
	json_object_set_new(body, "dedup", json_boolean(in->dedup_fd >= 0));
	return count;
}

static int take_fd(struct message *m, size_t *taken)
{
	int fd;

	if (*taken == m->fd_count)
		return -1;
	fd = m->fds[*taken];
	m->fds[(*taken)++] = -1;
	return fd;
}

void message_take_inputs(struct message *m, struct message_inputs *ret)
{
	const json_t *interfaces = json_object_get(m->body, "interfaces");
	uint32_t inputs = message_number(m, "inputs");
	size_t taken = 0;

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		ret->fds[i] = inputs & 1u << i ? take_fd(m, &taken) : -1;
		ret->interfaces[i] = (unsigned)json_integer_value(json_array_get(interfaces, i));
	}
	ret->dedup_fd = json_is_true(json_object_get(m->body, "dedup")) ? take_fd(m, &taken) : -1;
}
