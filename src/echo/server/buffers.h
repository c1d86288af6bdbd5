/* Read buffers that a worker lends to its io_uring: a request that waits for bytes has none, the
 * kernel takes one when they are there (IORING_REGISTER_PBUF_RING, Linux 5.19). */
#ifndef SERVER_BUFFERS_H
#define SERVER_BUFFERS_H

#include <liburing.h>
#include <stdint.h>

/* 2 MiB in all, of which only what messages fill is touched: a processor's L2 cache. One read of
 * so much is 64 messages of 512 bytes. */
#define BUFFER_BYTES (32u * 1024)
#define BUFFERS_COUNT                                                               \
	64u /* a power of two (the kernel's), and half of the completions of a turn \
	     */
#define BUFFERS_GROUP 0

struct buffers {
	struct io_uring_buf_ring *ring;
	char *bytes;
	unsigned used; /* lent by the kernel to us and not given back */
};

/* A negative errno, -EINVAL when this kernel has none; buffers_done() even then. */
int buffers_init(struct buffers *b, struct io_uring *uring);
/* After the end of the io_uring. */
void buffers_done(struct buffers *b);

/* The buffer that a completion brought, counted as used. */
unsigned buffers_take(struct buffers *b, const struct io_uring_cqe *cqe);
void buffers_give(struct buffers *b, unsigned id);

static inline char *buffers_at(const struct buffers *b, unsigned id)
{
	return b->bytes + (size_t)id * BUFFER_BYTES;
}

#endif
