/* IP and UDP headers, read once and checked: see datagram.h. */
#include "mcast/core/datagram.h"

#include "common/base/reader.h"

#define UDP 17u
#define UDP_HEADER_BYTES 8u
#define V4_HEADER_BYTES 20u
#define V6_HEADER_BYTES 40u
/* "More fragments" and the offset; "don't fragment" is not of interest. */
#define V4_FRAGMENT_BITS 0x3fffu
#define V6_FRAGMENT_HEADER 44u

/* RFC 1071: 16-bit words in network order; an odd byte is the upper half of one. */
static uint64_t add_words(uint64_t sum, const uint8_t *bytes, size_t len)
{
	for (; len > 1; bytes += 2, len -= 2)
		sum += (uint64_t)(bytes[0] << 8 | bytes[1]);
	return len ? sum + (uint64_t)(bytes[0] << 8) : sum;
}

static bool is_complete(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Over the pseudo header, too. Of IPv4 the unused bytes of an address are 0. */
static bool is_sum_good(const struct datagram *d, const uint8_t *udp, size_t len)
{
	uint64_t sum = UDP + (uint64_t)len;

	sum = add_words(sum, d->source.bytes, sizeof(d->source.bytes));
	sum = add_words(sum, d->destination.bytes, sizeof(d->destination.bytes));
	return is_complete(add_words(sum, udp, len));
}

static enum datagram_verdict decode_udp(const uint8_t *udp, size_t len, bool is_summed,
					struct datagram *d)
{
	struct reader r;
	uint16_t told, sum;

	reader_init(&r, udp, len);
	d->source_port = reader_u16(&r);
	d->destination_port = reader_u16(&r);
	told = reader_u16(&r);
	sum = reader_u16(&r);
	if (r.is_bad || told < UDP_HEADER_BYTES || told > len)
		return DATAGRAM_DAMAGED;
	/* Only IPv4 may do without (RFC 8200, 8.1). */
	if (!is_summed && sum == 0 && d->source.family == IP_V6)
		return DATAGRAM_DAMAGED;
	if (!is_summed && sum != 0 && !is_sum_good(d, udp, told))
		return DATAGRAM_DAMAGED;
	d->payload = udp + UDP_HEADER_BYTES;
	d->payload_bytes = told - UDP_HEADER_BYTES;
	return DATAGRAM_GOOD;
}

struct v4_header {
	size_t len, total;
	uint16_t fragment;
	uint8_t protocol;
};

static void read_v4(struct reader *r, struct v4_header *h, struct datagram *d)
{
	h->len = (reader_u8(r) & 15u) * 4u;
	reader_u8(r); /* type of service */
	h->total = reader_u16(r);
	reader_u16(r); /* identification */
	h->fragment = reader_u16(r);
	reader_u8(r); /* time to live */
	h->protocol = reader_u8(r);
	reader_u16(r); /* the sum: over all of the header */
	d->source.family = d->destination.family = IP_V4;
	reader_bytes(r, d->source.bytes, 4);
	reader_bytes(r, d->destination.bytes, 4);
}

static enum datagram_verdict decode_v4(const uint8_t *packet, size_t len, bool is_summed,
				       struct datagram *d)
{
	struct v4_header h;
	struct reader r;

	reader_init(&r, packet, len);
	read_v4(&r, &h, d);
	if (r.is_bad || h.len < V4_HEADER_BYTES || h.total < h.len || h.total > len ||
	    !is_complete(add_words(0, packet, h.len)))
		return DATAGRAM_DAMAGED;
	if (h.protocol != UDP)
		return DATAGRAM_ALIEN;
	if (h.fragment & V4_FRAGMENT_BITS)
		return DATAGRAM_FRAGMENT;
	return decode_udp(packet + h.len, h.total - h.len, is_summed, d);
}

static enum datagram_verdict decode_v6(const uint8_t *packet, size_t len, bool is_summed,
				       struct datagram *d)
{
	struct reader r;
	uint8_t next;
	size_t told;

	reader_init(&r, packet, len);
	reader_u32(&r); /* version, class, flow */
	told = reader_u16(&r);
	next = reader_u8(&r);
	reader_u8(&r); /* hop limit */
	d->source.family = d->destination.family = IP_V6;
	reader_bytes(&r, d->source.bytes, 16);
	reader_bytes(&r, d->destination.bytes, 16);
	if (r.is_bad || told > len - V6_HEADER_BYTES)
		return DATAGRAM_DAMAGED;
	if (next != UDP)
		return next == V6_FRAGMENT_HEADER ? DATAGRAM_FRAGMENT : DATAGRAM_ALIEN;
	return decode_udp(packet + V6_HEADER_BYTES, told, is_summed, d);
}

enum datagram_verdict datagram_decode(const uint8_t *packet, size_t len, bool is_summed,
				      struct datagram *ret)
{
	enum datagram_verdict verdict = DATAGRAM_ALIEN;
	struct datagram d = {0};

	if (len > 0 && packet[0] >> 4 == 4)
		verdict = decode_v4(packet, len, is_summed, &d);
	else if (len > 0 && packet[0] >> 4 == 6)
		verdict = decode_v6(packet, len, is_summed, &d);
	if (verdict == DATAGRAM_GOOD)
		*ret = d;
	return verdict;
}
