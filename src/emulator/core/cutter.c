/* Each segment gets a copy of the headers with its own lengths, sequence number, identification
 * and flags (RFC 9293, RFC 791), and a share of the payload. */
#include "emulator/core/cutter.h"

#include "common/base/minmax.h"
#include "emulator/core/limits.h"

#include <errno.h>
#include <string.h>

/* virtio 1.2, 5.1.6: gso_type */
#define GSO_TCPV4 1u
#define GSO_TCPV6 4u
#define GSO_UDP_L4 5u
#define GSO_ECN 0x80u

#define ETHERNET_BYTES 14u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define IPV4_BYTES_MIN 20u
#define IPV6_BYTES 40u
#define TCP_BYTES_MIN 20u
#define UDP_BYTES 8u
#define TCP_CSUM 16u
#define UDP_CSUM 6u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define TCP_FLAG_FIN 0x01u
#define TCP_FLAG_PSH 0x08u
#define TCP_FLAG_CWR 0x80u

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* RFC 1071: 16-bit words, added with end-around carry; `len` is even. */
static uint32_t sum(uint32_t start, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i += 2)
		start += get16(at + i);
	return start;
}

static uint16_t fold(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return (uint16_t)value;
}

static bool type_is_good(const struct cutter *c)
{
	switch (c->offload.gso_type & ~GSO_ECN) {
	case GSO_TCPV4:
		return !c->is_ipv6;
	case GSO_TCPV6:
		return c->is_ipv6;
	case GSO_UDP_L4:
		return c->is_udp;
	}
	return false;
}

/* The IP header must end where the sum begins, so that what is read next is in the frame. */
static int ip_check(struct cutter *c)
{
	const uint8_t *ip = c->frame + ETHERNET_BYTES;
	size_t start = c->offload.csum_start;

	c->is_ipv6 = get16(c->frame + ETHERNET_BYTES - 2) == ETHERTYPE_IPV6;
	if (c->is_ipv6)
		return start >= ETHERNET_BYTES + IPV6_BYTES ? 0 : -EPROTONOSUPPORT;
	if (get16(c->frame + ETHERNET_BYTES - 2) != ETHERTYPE_IPV4)
		return -EPROTONOSUPPORT;
	if ((ip[0] & 15u) * 4u < IPV4_BYTES_MIN || start != ETHERNET_BYTES + (ip[0] & 15u) * 4u)
		return -EPROTONOSUPPORT;
	return 0;
}

int cutter_init(struct cutter *c, const uint8_t *frame, size_t len, const struct offload *offload)
{
	size_t start = offload->csum_start, l4_bytes;

	*c = (struct cutter){.frame = frame, .len = len, .offload = *offload};
	c->is_udp = (offload->gso_type & ~GSO_ECN) == GSO_UDP_L4;
	l4_bytes = c->is_udp ? UDP_BYTES : TCP_BYTES_MIN;
	if (!(offload->flags & OFFLOAD_NEEDS_CSUM) || offload->gso_bytes == 0 ||
	    start < ETHERNET_BYTES + IPV4_BYTES_MIN || start > HEADER_BYTES_MAX ||
	    start + l4_bytes > len)
		return -EPROTONOSUPPORT;
	if (ip_check(c) || !type_is_good(c) ||
	    offload->csum_offset != (c->is_udp ? UDP_CSUM : TCP_CSUM))
		return -EPROTONOSUPPORT;
	if (!c->is_udp)
		l4_bytes = (frame[start + 12] >> 4) * 4u;
	c->header_bytes = start + l4_bytes;
	if ((!c->is_udp && l4_bytes < TCP_BYTES_MIN) || c->header_bytes > len)
		return -EPROTONOSUPPORT;
	c->offset = c->header_bytes;
	return 0;
}

static size_t payload_bytes(const struct cutter *c)
{
	return min_u64(c->offload.gso_bytes, c->len - c->offset);
}

size_t cutter_next_bytes(const struct cutter *c)
{
	return c->offset < c->len ? c->header_bytes + payload_bytes(c) : 0;
}

static void fix_ip(const struct cutter *c, uint8_t *ip, size_t ip_bytes)
{
	if (c->is_ipv6) {
		put16(ip + 4, (uint32_t)(ip_bytes - IPV6_BYTES));
		return;
	}
	put16(ip + 2, (uint32_t)ip_bytes);
	put16(ip + 4, get16(ip + 4) + c->index);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~fold(sum(0, ip, (ip[0] & 15u) * 4u)));
}

/* What the sum field holds until whoever needs it adds the rest: that of the pseudo-header. */
static uint16_t pseudo_sum(const struct cutter *c, const uint8_t *ip, size_t l4_bytes)
{
	uint32_t start = (uint32_t)l4_bytes + (c->is_udp ? PROTOCOL_UDP : PROTOCOL_TCP);

	return fold(c->is_ipv6 ? sum(start, ip + 8, 32) : sum(start, ip + 12, 8));
}

static void fix_tcp(const struct cutter *c, uint8_t *tcp, bool is_last)
{
	put32(tcp + 4, get32(tcp + 4) + c->index * c->offload.gso_bytes);
	if (!is_last)
		tcp[13] &= (uint8_t) ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
	if (c->index > 0)
		tcp[13] &= (uint8_t)~TCP_FLAG_CWR;
}

void cutter_next(struct cutter *c, struct packet *ret)
{
	size_t payload = payload_bytes(c), start = c->offload.csum_start;
	uint8_t *ip = ret->frame + ETHERNET_BYTES, *l4 = ret->frame + start;
	size_t l4_bytes = c->header_bytes + payload - start;

	memcpy(ret->frame, c->frame, c->header_bytes);
	memcpy(ret->frame + c->header_bytes, c->frame + c->offset, payload);
	ret->len = (uint32_t)(c->header_bytes + payload);
	fix_ip(c, ip, ret->len - ETHERNET_BYTES);
	if (c->is_udp)
		put16(l4 + 4, (uint32_t)l4_bytes);
	else
		fix_tcp(c, l4, c->offset + payload == c->len);
	put16(l4 + c->offload.csum_offset, pseudo_sum(c, ip, l4_bytes));
	ret->offload = (struct offload){.flags = OFFLOAD_NEEDS_CSUM,
					.csum_start = c->offload.csum_start,
					.csum_offset = c->offload.csum_offset};
	c->offset += payload;
	c->index++;
}
