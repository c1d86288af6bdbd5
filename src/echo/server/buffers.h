/* Read buffers that a worker lends to its io_uring: a request that waits for bytes has none, the
 * kernel takes one when they are there (IORING_REGISTER_PBUF_RING, Linux 5.19). */
#ifndef SERVER_BUFFERS_H
#define SERVER_BUFFERS_H

#include <liburing.h>
#include <stdint.h>

/* One read of so much is 64 messages of 512 bytes; 16 and 64 KiB made no difference. */
#define BUFFER_BYTES (32u * 1024)
/* So many completions are handled before the kernel gets another call: for each a buffer, and one
 * request that follows it. A power of two, as the kernel wants. Only the bytes that messages fill
 * are touched: with 256 bytes, next to nothing of a cache. */
#define COMPLETIONS_PER_TURN 64u
#define BUFFERS_COUNT COMPLETIONS_PER_TURN
#define BUFFERS_GROUP 0

struct buffers {
	struct io_uring_buf_ring *ring;
	char *bytes;
};

/* A negative errno, -EINVAL when this kernel has none; buffers_done() even then. */
int buffers_init(struct buffers *b, struct io_uring *uring);
/* After the end of the io_uring. */
void buffers_done(struct buffers *b);

/* The buffer that a completion brought: ours until it is given back. */
static inline unsigned buffers_id(const struct io_uring_cqe *cqe)
{
	return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

void buffers_give(struct buffers *b, unsigned id);

static inline char *buffers_at(const struct buffers *b, unsigned id)
{
	return b->bytes + (size_t)id * BUFFER_BYTES;
}

#endif
