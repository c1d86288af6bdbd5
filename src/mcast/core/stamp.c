/* A mark that no other payload begins with by chance, and the numbers: see stamp.h. */
#include "mcast/core/stamp.h"

#include "common/base/reader.h"

#include <errno.h>

#define STAMP_MARK 0x4d63617374537431u /* "McastSt1" */

void stamp_encode(const struct stamp *s, uint8_t out[STAMP_BYTES])
{
	struct writer w;

	writer_init(&w, out, STAMP_BYTES);
	writer_u64(&w, STAMP_MARK);
	writer_u32(&w, s->run);
	writer_u32(&w, s->stream);
	writer_u64(&w, s->sequence);
	writer_u64(&w, s->sent_ns);
}

int stamp_decode(const uint8_t *in, size_t len, struct stamp *ret)
{
	struct stamp s;
	struct reader r;

	reader_init(&r, in, len);
	if (reader_u64(&r) != STAMP_MARK)
		return -EPROTO;
	s.run = reader_u32(&r);
	s.stream = reader_u32(&r);
	s.sequence = reader_u64(&r);
	s.sent_ns = reader_u64(&r);
	if (r.is_bad)
		return -EPROTO;
	*ret = s;
	return 0;
}
