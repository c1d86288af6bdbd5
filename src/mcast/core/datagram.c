/* IP and UDP headers, read once and checked: see datagram.h. */
#include "mcast/core/datagram.h"

#include "common/base/reader.h"

#include <arpa/inet.h>
#include <string.h>

#define UDP 17u
#define UDP_HEADER_BYTES 8u
#define V4_HEADER_BYTES 20u
#define V6_HEADER_BYTES 40u
/* "More fragments" and the offset; "don't fragment" is not of interest. */
#define V4_FRAGMENT_BITS 0x3fffu
#define V6_FRAGMENT_HEADER 44u

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* RFC 1071: 16-bit words in network order; an odd byte is the upper half of one. Sums may be made
 * of longer words and in this machine's order, and turned at the end (2, A and B). */
static uint64_t add_words(uint64_t sum, const uint8_t *bytes, size_t len)
{
	uint64_t ours = 0;
	uint32_t word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		ours += word;
	}
	sum += ntohs(fold(ours));
	for (; len > 1; bytes += 2, len -= 2)
		sum += (uint64_t)(bytes[0] << 8 | bytes[1]);
	return len ? sum + (uint64_t)(bytes[0] << 8) : sum;
}

static bool is_complete(uint64_t sum)
{
	return fold(sum) == 0xffff;
}

/* Of IPv4 the unused bytes of an address are 0. */
static uint64_t pseudo_sum(const struct datagram *d, size_t len)
{
	uint64_t sum = UDP + (uint64_t)len;

	sum = add_words(sum, d->source.bytes, sizeof(d->source.bytes));
	return add_words(sum, d->destination.bytes, sizeof(d->destination.bytes));
}

static bool is_sum_good(const struct datagram *d, const uint8_t *udp, size_t len,
			enum datagram_sum known, uint16_t told)
{
	uint64_t pseudo = pseudo_sum(d, len);

	if (known == DATAGRAM_SUM_BEGUN && told == fold(pseudo))
		return true;
	return is_complete(add_words(pseudo, udp, len));
}

static enum datagram_verdict decode_udp(const uint8_t *udp, size_t len, enum datagram_sum known,
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
	if (known != DATAGRAM_SUM_KNOWN && sum == 0 && d->source.family == IP_V6)
		return DATAGRAM_DAMAGED;
	if (known != DATAGRAM_SUM_KNOWN && sum != 0 && !is_sum_good(d, udp, told, known, sum))
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

static enum datagram_verdict decode_v4(const uint8_t *packet, size_t len, enum datagram_sum known,
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
	return decode_udp(packet + h.len, h.total - h.len, known, d);
}

static enum datagram_verdict decode_v6(const uint8_t *packet, size_t len, enum datagram_sum known,
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
	return decode_udp(packet + V6_HEADER_BYTES, told, known, d);
}

enum datagram_verdict datagram_decode(const uint8_t *packet, size_t len, enum datagram_sum known,
				      struct datagram *ret)
{
	enum datagram_verdict verdict = DATAGRAM_ALIEN;
	struct datagram d = {0};

	if (len > 0 && packet[0] >> 4 == 4)
		verdict = decode_v4(packet, len, known, &d);
	else if (len > 0 && packet[0] >> 4 == 6)
		verdict = decode_v6(packet, len, known, &d);
	if (verdict == DATAGRAM_GOOD)
		*ret = d;
	return verdict;
}
