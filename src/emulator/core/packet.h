/* One packet under way and what the kernel said of its checksum. It comes from its link's slab and
 * belongs to whoever holds it: a batch that is read, a direction, a batch that is sent. */
#ifndef EMULATOR_CORE_PACKET_H
#define EMULATOR_CORE_PACKET_H

#include "common/base/list.h"

#include <assert.h>
#include <stdint.h>

/* struct virtio_net_hdr (virtio 1.1, 5.1.6) without the system's headers, in host byte order: what
 * PACKET_VNET_HDR puts before a frame. */
struct offload {
	uint8_t flags, gso_type;
	uint16_t header_bytes; /* a hint; not relied on */
	uint16_t gso_bytes;    /* payload of each segment */
	uint16_t csum_start;   /* from the frame's first byte: where the sum begins */
	uint16_t csum_offset;  /* from there: where the sum belongs */
};

#define OFFLOAD_NEEDS_CSUM 1u /* flags: the sum field holds the pseudo-header's only */

struct packet {
	struct list node;
	uint64_t time_ns; /* of its arrival while it waits, of its exit when it is in flight */
	uint32_t len;	  /* of the frame */
	struct offload offload;
	uint8_t frame[]; /* behind `offload`: both are read and sent in one piece */
};

static_assert(offsetof(struct packet, frame) ==
		      offsetof(struct packet, offload) + sizeof(struct offload),
	      "one piece");

#endif
