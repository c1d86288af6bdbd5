/* with: src/emulator/core/cutter.c */
/* Fuzz target for the cutting of large packets: ten bytes of offload, then a frame. Whatever it
 * says, each segment has the room it asked for, and the payloads make up the whole. */
#include "emulator/core/cutter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
	if (!is_true)
		abort();
}

static void cut(struct cutter *c, const uint8_t *frame, size_t size)
{
	size_t at = c->header_bytes, bytes;

	while ((bytes = cutter_next_bytes(c)) > 0) {
		struct packet *p = malloc(offsetof(struct packet, frame) + bytes);
		size_t payload = bytes - c->header_bytes;

		require(p != NULL && payload > 0);
		cutter_next(c, p);
		require(p->len == bytes && p->offload.gso_type == 0);
		require(memcmp(p->frame + c->header_bytes, frame + at, payload) == 0);
		at += payload;
		free(p);
	}
	require(at == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct offload offload;
	struct cutter c;

	if (size < sizeof(offload))
		return 0;
	memcpy(&offload, data, sizeof(offload));
	data += sizeof(offload);
	size -= sizeof(offload);
	if (cutter_init(&c, data, size, &offload) == 0)
		cut(&c, data, size);
	return 0;
}
