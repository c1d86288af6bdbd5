/* A UDP datagram in its IPv4 or IPv6 packet, as it comes off a link: lengths and sums are checked
 * as a kernel would (RFC 791, 768, 1071, 8200). Bytes from outside become checked values here. */
#ifndef MCAST_DATAGRAM_H
#define MCAST_DATAGRAM_H

#include "mcast/core/ip.h"

#include <stddef.h>

struct datagram {
	struct ip source, destination;
	uint16_t source_port, destination_port;
	const uint8_t *payload; /* within the packet */
	size_t payload_bytes;
};

enum datagram_verdict {
	DATAGRAM_GOOD,
	DATAGRAM_ALIEN,	   /* no UDP, or behind extension headers */
	DATAGRAM_FRAGMENT, /* a part of one */
	DATAGRAM_DAMAGED,  /* a length or a sum is wrong, or it was cut */
};

/* What is known of UDP's checksum. */
enum datagram_sum {
	DATAGRAM_SUM_KNOWN, /* it was verified by others, or need not be filled in yet */
	DATAGRAM_SUM_TOLD,  /* it is in the packet */
	/* So too; or there is only that of the pseudo header, from a sender of this machine that
	 * leaves the rest to the hardware. */
	DATAGRAM_SUM_BEGUN,
};

/* `packet` begins with the IP header; what follows the length that it tells is padding. `ret` is
 * filled when it is good. */
enum datagram_verdict datagram_decode(const uint8_t *packet, size_t len, enum datagram_sum known,
				      struct datagram *ret);

#endif
