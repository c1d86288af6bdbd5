/* with: src/mcast/core/datagram.c src/mcast/core/ip.c */
/* Packets off a link: what is good, and each length and sum that may be wrong. */
#include "mcast/core/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* 10.0.0.1:4660 to 239.1.1.1:5001, "abc", and padding; all sums are right. */
static const uint8_t v4[] = {0x45, 0x00, 0x00, 0x1f, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xb0,
			     0xca, 10,	 0,    0,    1,	   239,	 1,    1,    1,	   0x12, 0x34,
			     0x13, 0x89, 0x00, 0x0b, 0x00, 0x00, 'a',  'b',  'c',  0,	 0};
#define V4_BYTES 31u

/* fe80::1 port 4660 to ff15::1 port 5001, "abc". */
static const uint8_t v6[] = {0x60, 0,	 0,    0,    0,	   11, 17, 16, 0xfe, 0x80, 0,	0,    0,
			     0,	   0,	 0,    0,    0,	   0,  0,  0,  0,    0,	   1,	0xff, 0x15,
			     0,	   0,	 0,    0,    0,	   0,  0,  0,  0,    0,	   0,	0,    0,
			     1,	   0x12, 0x34, 0x13, 0x89, 0,  11, 0,  0,    'a',  'b', 'c'};

struct packet {
	uint8_t bytes[80];
	size_t len;
};

static uint32_t add(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

/* What stands at the place of a sum is replaced. */
static void fill_in_v4(struct packet *p)
{
	uint8_t *udp = p->bytes + (p->bytes[0] & 15) * 4;

	p->bytes[10] = p->bytes[11] = udp[6] = udp[7] = 0;
	put_sum(p->bytes + 10, add(0, p->bytes, (size_t)(udp - p->bytes)));
	put_sum(udp + 6, add(add(17 + 11, p->bytes + 12, 8), udp, 11));
}

static void fill_in_v6(struct packet *p)
{
	p->bytes[46] = p->bytes[47] = 0;
	put_sum(p->bytes + 46, add(add(17 + 11, p->bytes + 8, 32), p->bytes + 40, 11));
}

static struct packet v4_packet(void)
{
	struct packet p = {.len = sizeof(v4)};

	memcpy(p.bytes, v4, sizeof(v4));
	fill_in_v4(&p);
	return p;
}

static struct packet v6_packet(void)
{
	struct packet p = {.len = sizeof(v6)};

	memcpy(p.bytes, v6, sizeof(v6));
	fill_in_v6(&p);
	return p;
}

static void expect_good(const struct packet *p, enum datagram_sum known)
{
	struct datagram d;

	assert_int_equal(datagram_decode(p->bytes, p->len, known, &d), DATAGRAM_GOOD);
	assert_int_equal(d.source_port, 0x1234);
	assert_int_equal(d.destination_port, 5001);
	assert_int_equal(d.payload_bytes, 3);
	assert_memory_equal(d.payload, "abc", 3);
}

static void expect(const struct packet *p, enum datagram_verdict verdict)
{
	struct datagram d;

	assert_int_equal(datagram_decode(p->bytes, p->len, DATAGRAM_SUM_TOLD, &d), verdict);
}

static void addresses_and_payload(void **state)
{
	struct packet four = v4_packet(), six = v6_packet();
	char text[IP_TEXT_MAX];
	struct datagram d;

	(void)state;
	expect_good(&four, DATAGRAM_SUM_TOLD);
	expect_good(&six, DATAGRAM_SUM_TOLD);
	assert_int_equal(datagram_decode(four.bytes, four.len, DATAGRAM_SUM_TOLD, &d),
			 DATAGRAM_GOOD);
	ip_text(&d.source, text);
	assert_string_equal(text, "10.0.0.1");
	ip_text(&d.destination, text);
	assert_string_equal(text, "239.1.1.1");
	assert_int_equal(datagram_decode(six.bytes, six.len, DATAGRAM_SUM_TOLD, &d), DATAGRAM_GOOD);
	ip_text(&d.source, text);
	assert_string_equal(text, "fe80::1");
	ip_text(&d.destination, text);
	assert_string_equal(text, "ff15::1");
}

static void options_are_skipped(void **state)
{
	struct packet p = v4_packet();

	(void)state;
	memmove(p.bytes + 24, p.bytes + 20, V4_BYTES - 20);
	memcpy(p.bytes + 20, "\x94\x04\0\0", 4); /* router alert */
	p.bytes[0] = 0x46;
	p.bytes[3] = V4_BYTES + 4;
	p.len = V4_BYTES + 4;
	fill_in_v4(&p);
	expect_good(&p, DATAGRAM_SUM_TOLD);
}

static void sums(void **state)
{
	struct packet p = v4_packet(), six = v6_packet();

	(void)state;
	p.bytes[30] ^= 1; /* of the payload */
	expect(&p, DATAGRAM_DAMAGED);
	p = v4_packet();
	p.bytes[27] ^= 1; /* of the sum, which is not looked at when others have verified it */
	expect(&p, DATAGRAM_DAMAGED);
	expect_good(&p, DATAGRAM_SUM_KNOWN);
	p.bytes[26] = p.bytes[27] = 0; /* none */
	expect_good(&p, DATAGRAM_SUM_TOLD);
	p = v4_packet();
	p.bytes[8]--; /* time to live: the header's sum */
	expect(&p, DATAGRAM_DAMAGED);
	six.bytes[50] ^= 1;
	expect(&six, DATAGRAM_DAMAGED);
	six = v6_packet();
	six.bytes[46] = six.bytes[47] = 0;
	expect(&six, DATAGRAM_DAMAGED);
	expect_good(&six, DATAGRAM_SUM_KNOWN);
}

/* What a sender of this machine leaves to the hardware: the sum of the pseudo header alone. */
static void begin_sum(uint8_t *udp, uint32_t pseudo)
{
	put_sum(udp + 6, pseudo);
	udp[6] = (uint8_t)~udp[6];
	udp[7] = (uint8_t)~udp[7];
}

static void begun_sums(void **state)
{
	struct packet p = v4_packet(), six = v6_packet();
	struct datagram d;

	(void)state;
	expect_good(&p, DATAGRAM_SUM_BEGUN); /* a whole one */
	begin_sum(p.bytes + 20, add(17 + 11, p.bytes + 12, 8));
	expect(&p, DATAGRAM_DAMAGED);
	expect_good(&p, DATAGRAM_SUM_BEGUN);
	p.bytes[27] ^= 1;
	assert_int_equal(datagram_decode(p.bytes, p.len, DATAGRAM_SUM_BEGUN, &d), DATAGRAM_DAMAGED);
	begin_sum(six.bytes + 40, add(17 + 11, six.bytes + 8, 32));
	expect(&six, DATAGRAM_DAMAGED);
	expect_good(&six, DATAGRAM_SUM_BEGUN);
}

/* Each length but the whole one is too short, in memory of that length. */
static void cut(void **state)
{
	struct packet four = v4_packet(), six = v6_packet(), p;

	(void)state;
	four.len = V4_BYTES;
	for (size_t len = 1; len < four.len; len++) {
		p = four;
		p.len = len;
		expect(&p, DATAGRAM_DAMAGED);
	}
	for (size_t len = 1; len < six.len; len++) {
		p = six;
		p.len = len;
		expect(&p, DATAGRAM_DAMAGED);
	}
	p.len = 0;
	expect(&p, DATAGRAM_ALIEN);
}

static void wrong_lengths(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} four[] = {{0, 0x44}, {0, 0x4f}, {2, 1}, {3, 19}, {3, 27}, {24, 1}, {25, 7}, {25, 12}};
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(four) / sizeof(*four); i++) {
		p = v4_packet();
		p.bytes[four[i].at] = four[i].value;
		if (four[i].at > 0) {
			p.bytes[10] = p.bytes[11] = 0;
			put_sum(p.bytes + 10, add(0, p.bytes, 20));
		}
		expect(&p, DATAGRAM_DAMAGED);
	}
	p = v6_packet();
	p.bytes[5] = 12;
	expect(&p, DATAGRAM_DAMAGED);
	p = v6_packet();
	p.bytes[5] = 7;
	expect(&p, DATAGRAM_DAMAGED);
}

static void others(void **state)
{
	struct packet p = v4_packet();

	(void)state;
	p.bytes[9] = 6;
	fill_in_v4(&p);
	expect(&p, DATAGRAM_ALIEN);
	p = v4_packet();
	p.bytes[6] = 0x20; /* more to come */
	fill_in_v4(&p);
	expect(&p, DATAGRAM_FRAGMENT);
	p = v4_packet();
	p.bytes[7] = 1; /* not the first */
	fill_in_v4(&p);
	expect(&p, DATAGRAM_FRAGMENT);
	p = v4_packet();
	p.bytes[6] = 0x40; /* not to be fragmented */
	fill_in_v4(&p);
	expect_good(&p, DATAGRAM_SUM_TOLD);
	p = v6_packet();
	p.bytes[6] = 44;
	expect(&p, DATAGRAM_FRAGMENT);
	p.bytes[6] = 0;
	expect(&p, DATAGRAM_ALIEN);
	p.bytes[0] = 0x50;
	expect(&p, DATAGRAM_ALIEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_and_payload),
		cmocka_unit_test(options_are_skipped),
		cmocka_unit_test(sums),
		cmocka_unit_test(begun_sums),
		cmocka_unit_test(cut),
		cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
