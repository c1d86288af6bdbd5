/* Cursors over network-order bytes, one to read and one to write. All checks of length are in
 * reader_take and writer_room; nothing else moves a cursor. */
#include "common/base/reader.h"

#include <string.h>

void reader_init(struct reader *r, const void *bytes, size_t len)
{
	r->at = bytes ? bytes : (const uint8_t *)""; /* C knows no NULL + 0 */
	r->end = r->at + len;
	r->is_bad = false;
}

const uint8_t *reader_take(struct reader *r, size_t len)
{
	const uint8_t *bytes = r->at;

	if (len > reader_left(r)) {
		r->is_bad = true;
		r->at = r->end; /* so that no smaller field after it is read from its bytes */
		return NULL;
	}
	r->at += len;
	return bytes;
}

static uint64_t reader_number(struct reader *r, size_t len)
{
	const uint8_t *bytes = reader_take(r, len);
	uint64_t v = 0;

	if (!bytes)
		return 0;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | bytes[i];
	return v;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)reader_number(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)reader_number(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)reader_number(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return reader_number(r, 8);
}

void reader_bytes(struct reader *r, void *ret_bytes, size_t len)
{
	const uint8_t *bytes = reader_take(r, len);

	if (bytes)
		memcpy(ret_bytes, bytes, len);
	else
		memset(ret_bytes, 0, len);
}

void writer_init(struct writer *w, void *bytes, size_t size)
{
	w->start = w->at = bytes;
	w->end = w->start + size;
	w->is_bad = false;
}

/* Room for `len` bytes, or NULL; once something did not fit, nothing does: no holes. */
static uint8_t *writer_room(struct writer *w, size_t len)
{
	uint8_t *room = w->at;

	if (w->is_bad || len > (size_t)(w->end - w->at)) {
		w->is_bad = true;
		return NULL;
	}
	w->at += len;
	return room;
}

static void writer_number(struct writer *w, uint64_t v, size_t len)
{
	uint8_t *room = writer_room(w, len);

	if (!room)
		return;
	for (size_t i = len; i-- > 0; v >>= 8)
		room[i] = (uint8_t)v;
}

void writer_u8(struct writer *w, uint8_t v)
{
	writer_number(w, v, 1);
}

void writer_u16(struct writer *w, uint16_t v)
{
	writer_number(w, v, 2);
}

void writer_u32(struct writer *w, uint32_t v)
{
	writer_number(w, v, 4);
}

void writer_u64(struct writer *w, uint64_t v)
{
	writer_number(w, v, 8);
}

void writer_bytes(struct writer *w, const void *bytes, size_t len)
{
	uint8_t *room = writer_room(w, len);

	if (room && len > 0) /* memcpy takes no NULL, even for 0 bytes */
		memcpy(room, bytes, len);
}
