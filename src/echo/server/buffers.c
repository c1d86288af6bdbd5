/* A ring of buffers, and their bytes: see buffers.h. */
#include "echo/server/buffers.h"

#include <errno.h>
#include <sys/mman.h>

#define RING_BYTES (BUFFERS_COUNT * sizeof(struct io_uring_buf))
#define ALL_BYTES ((size_t)BUFFERS_COUNT * BUFFER_BYTES)

/* Whole pages, none of which exists before it is used; NULL when there are none. */
static void *map(size_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void buffers_give(struct buffers *b, unsigned id)
{
	io_uring_buf_ring_add(b->ring, buffers_at(b, id), BUFFER_BYTES, (unsigned short)id,
			      io_uring_buf_ring_mask(BUFFERS_COUNT), 0);
	io_uring_buf_ring_advance(b->ring, 1);
}

int buffers_init(struct buffers *b, struct io_uring *uring)
{
	struct io_uring_buf_reg reg = {.ring_entries = BUFFERS_COUNT, .bgid = BUFFERS_GROUP};
	int err;

	*b = (struct buffers){.ring = map(RING_BYTES), .bytes = map(ALL_BYTES)};
	if (!b->ring || !b->bytes)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)b->ring;
	err = io_uring_register_buf_ring(uring, &reg, 0);
	if (err)
		return err;
	io_uring_buf_ring_init(b->ring);
	for (unsigned id = 0; id < BUFFERS_COUNT; id++)
		buffers_give(b, id);
	return 0;
}

void buffers_done(struct buffers *b)
{
	if (b->ring)
		munmap(b->ring, RING_BYTES);
	if (b->bytes)
		munmap(b->bytes, ALL_BYTES);
	*b = (struct buffers){0};
}
