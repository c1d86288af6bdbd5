/* A cursor over bytes from outside, network byte order. Reading past the end sets `is_bad` and
 * yields zeros, so that a decoder reads all its fields and asks once. The writer is its mirror
 * over a caller's buffer. Neither owns the bytes. */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *at, *end;
	bool is_bad;
};

struct writer {
	uint8_t *start, *at, *end;
	bool is_bad;
};

void reader_init(struct reader *r, const void *bytes, size_t len);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* Copies `len` bytes to `ret_bytes` (zeros when there are fewer). */
void reader_bytes(struct reader *r, void *ret_bytes, size_t len);
/* The next `len` bytes in place, or NULL. */
const uint8_t *reader_take(struct reader *r, size_t len);
static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

void writer_init(struct writer *w, void *bytes, size_t size);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_bytes(struct writer *w, const void *bytes, size_t len);
static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

#endif
