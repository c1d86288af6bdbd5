/* Cuts the large packets that veth hands over (TSO, USO, GRO) into what a wire carries: frames of
 * one segment each, so that rate, queue and loss act on packets. As the kernel's own segmentation
 * does it (net/ipv4/tcp_offload.c, net/ipv4/udp_offload.c); sums stay partial. */
#ifndef EMULATOR_CORE_CUTTER_H
#define EMULATOR_CORE_CUTTER_H

#include "emulator/core/packet.h"

#include <stdbool.h>
#include <stddef.h>

struct cutter {
	const uint8_t *frame; /* borrowed */
	size_t len, offset;   /* the next segment's payload begins there */
	struct offload offload;
	size_t header_bytes; /* Ethernet, IP and TCP or UDP */
	bool is_ipv6, is_udp;
	uint32_t index; /* of the next segment */
};

/* 0, or -EPROTONOSUPPORT: not a large TCP or UDP packet over IPv4 or IPv6 in plain Ethernet. */
int cutter_init(struct cutter *c, const uint8_t *frame, size_t len, const struct offload *offload);
/* The size of the next frame, 0 when there is none. */
size_t cutter_next_bytes(const struct cutter *c);
/* Fills `ret`, which has room for it: frame, len and offload. */
void cutter_next(struct cutter *c, struct packet *ret);

#endif
