/* The supervisor's end of a worker's channel: messages in order, however slowly they are taken. */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include "common/base/list.h"
#include "mcast/relay/message.h"

#include <stdbool.h>
#include <uv.h>

struct channel;

struct channel_ops {
	/* What it keeps of the message's descriptors it sets to -1 there. */
	void (*heard)(struct channel *c, struct message *m);
	/* A message is on its way: the other end finds it when it reads. Not for those without
	 * slot. */
	void (*sent)(struct channel *c, uint32_t slot);
	/* The other end has gone, or speaks nonsense, or has heard less than it was told. Close it
	 * then. */
	void (*gone)(struct channel *c);
	/* Its memory is the owner's again. */
	void (*closed)(struct channel *c);
};

struct channel {
	const struct channel_ops *ops;
	uv_poll_t poll;
	int fd;
	struct list waiting;  /* messages that had no room yet, */
	size_t waiting_count; /* so many */
	bool is_closing;
	bool is_broken; /* something could not be said: the other end must not go on */
};

/* `fd_take` is non-blocking. */
void channel_open(struct channel *c, uv_loop_t *loop, int fd_take, const struct channel_ops *ops);
/* What still waits is dropped; ops->closed follows. */
void channel_close(struct channel *c);

/* Descriptors are borrowed. `slot`: of the stream that it is about, or CHANNEL_NO_SLOT. */
#define CHANNEL_NO_SLOT UINT32_MAX
void channel_send(struct channel *c, json_t *body_take, const int *fds, size_t fd_count,
		  uint32_t slot);

#endif
