/* with: src/emulator/core/cutter.c */
/* Large packets in segments: the payload whole and in order, the headers of each right, the sum
 * field as whoever completes it needs it; and what cannot be cut is refused. */
#include "emulator/core/cutter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ETHERNET 14u
#define MSS 100u
#define PAYLOAD 250u
#define FIN_PSH_ACK 0x19
#define CWR 0x80

struct kind {
	bool is_ipv6, is_udp;
	size_t option_bytes; /* of TCP */
};

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint64_t sum(const uint8_t *at, size_t len)
{
	uint64_t total = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		total += get16(at + i);
	return total + (len % 2 ? (uint64_t)at[len - 1] << 8 : 0);
}

static size_t ip_bytes(const struct kind *k)
{
	return k->is_ipv6 ? 40 : 20;
}

static size_t l4_bytes(const struct kind *k)
{
	return k->is_udp ? 8 : 20 + k->option_bytes;
}

static size_t header_bytes(const struct kind *k)
{
	return ETHERNET + ip_bytes(k) + l4_bytes(k);
}

static size_t build(const struct kind *k, uint8_t *frame, struct offload *ret)
{
	uint8_t *ip = frame + ETHERNET, *l4 = ip + ip_bytes(k);

	memset(frame, 7, header_bytes(k));
	memcpy(frame + 12, k->is_ipv6 ? "\x86\xdd" : "\x08\x00", 2);
	ip[0] = k->is_ipv6 ? 0x60 : 0x45;
	memcpy(ip + 4, "\xff\xff", 2); /* the identification of IPv4 wraps */
	ip[9] = k->is_udp ? 17 : 6;
	if (!k->is_udp) {
		memcpy(l4 + 4, "\xff\xff\xff\xfe", 4);
		l4[12] = (uint8_t)(l4_bytes(k) / 4 << 4);
		l4[13] = FIN_PSH_ACK | CWR;
	}
	for (size_t i = 0; i < PAYLOAD; i++)
		frame[header_bytes(k) + i] = (uint8_t)(i * 7);
	*ret = (struct offload){.flags = OFFLOAD_NEEDS_CSUM,
				.gso_type = k->is_udp	 ? 5
					    : k->is_ipv6 ? 4
							 : 1,
				.gso_bytes = MSS,
				.csum_start = (uint16_t)(ETHERNET + ip_bytes(k)),
				.csum_offset = k->is_udp ? 6 : 16};
	return header_bytes(k) + PAYLOAD;
}

/* As a network card does it: the sum from csum_start on, which finds the pseudo-header's in its
 * own field. Then the receiver's check over all must give 0xffff. */
static void check_sum(const struct kind *k, struct packet *p)
{
	uint8_t *ip = p->frame + ETHERNET, *l4 = p->frame + p->offload.csum_start;
	size_t len = p->len - p->offload.csum_start;
	uint16_t all = (uint16_t)~fold(sum(l4, len));
	uint64_t pseudo;

	l4[p->offload.csum_offset] = (uint8_t)(all >> 8);
	l4[p->offload.csum_offset + 1] = (uint8_t)all;
	pseudo = len + (k->is_udp ? 17 : 6) + (k->is_ipv6 ? sum(ip + 8, 32) : sum(ip + 12, 8));
	assert_int_equal(fold(pseudo + sum(l4, len)), 0xffff);
}

static void check_ip(const struct kind *k, const struct packet *p, size_t index)
{
	const uint8_t *ip = p->frame + ETHERNET;

	if (k->is_ipv6) {
		assert_int_equal(get16(ip + 4), p->len - ETHERNET - 40);
		return;
	}
	assert_int_equal(get16(ip + 2), p->len - ETHERNET);
	assert_int_equal(get16(ip + 4), (uint16_t)(0xffff + index));
	assert_int_equal(fold(sum(ip, 20)), 0xffff);
}

static void check_l4(const struct kind *k, const struct packet *p, size_t index, bool is_last)
{
	const uint8_t *l4 = p->frame + ETHERNET + ip_bytes(k);

	if (k->is_udp) {
		assert_int_equal(get16(l4 + 4), p->len - ETHERNET - ip_bytes(k));
		return;
	}
	assert_int_equal(get32(l4 + 4), (uint32_t)(0xfffffffe + index * MSS));
	assert_int_equal(l4[13], (is_last ? FIN_PSH_ACK : 0x10) | (index == 0 ? CWR : 0));
}

static void check_kind(const struct kind *k)
{
	uint8_t *frame = malloc(header_bytes(k) + PAYLOAD);
	struct packet *p = malloc(sizeof(*p) + 1000);
	size_t len, taken = 0, index = 0, bytes;
	struct offload offload;
	struct cutter c;

	len = build(k, frame, &offload);
	assert_int_equal(cutter_init(&c, frame, len, &offload), 0);
	for (; (bytes = cutter_next_bytes(&c)) > 0; index++) {
		size_t payload = bytes - header_bytes(k);

		assert_int_equal(payload, index < 2 ? MSS : PAYLOAD - 2 * MSS);
		cutter_next(&c, p);
		assert_int_equal(p->len, bytes);
		assert_int_equal(p->offload.gso_type, 0);
		assert_memory_equal(p->frame + header_bytes(k), frame + header_bytes(k) + taken,
				    payload);
		check_ip(k, p, index);
		check_l4(k, p, index, index == 2);
		check_sum(k, p);
		taken += payload;
	}
	assert_int_equal(index, 3);
	assert_int_equal(taken, PAYLOAD);
	free(p);
	free(frame);
}

static void test_kinds(void **state)
{
	static const struct kind kinds[] = {{false, false, 0},
					    {false, false, 12},
					    {true, false, 12},
					    {false, true, 0},
					    {true, true, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		check_kind(&kinds[i]);
}

static void test_refused(void **state)
{
	const struct kind k = {false, false, 0};
	uint8_t frame[1000];
	struct offload good, bad;
	struct cutter c;
	size_t len = build(&k, frame, &good);

	(void)state;
	for (size_t short_len = 0; short_len < header_bytes(&k); short_len++)
		assert_int_equal(cutter_init(&c, frame, short_len, &good), -EPROTONOSUPPORT);
#define REFUSED(field, value) \
	bad = good;           \
	bad.field = (value);  \
	assert_int_equal(cutter_init(&c, frame, len, &bad), -EPROTONOSUPPORT)
	REFUSED(flags, 0);
	REFUSED(gso_type, 0);
	REFUSED(gso_type, 3); /* UDP fragments */
	REFUSED(gso_type, 4); /* IPv6 in an IPv4 frame */
	REFUSED(gso_bytes, 0);
	REFUSED(csum_start, 0);
	REFUSED(csum_start, 38);
	REFUSED(csum_start, UINT16_MAX);
	REFUSED(csum_offset, 6);
	frame[12] = 0x81; /* a tag */
	frame[13] = 0;
	assert_int_equal(cutter_init(&c, frame, len, &good), -EPROTONOSUPPORT);
	len = build(&k, frame, &good);
	frame[ETHERNET + 20 + 12] = 0x40; /* 16 bytes of TCP header */
	assert_int_equal(cutter_init(&c, frame, len, &good), -EPROTONOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
