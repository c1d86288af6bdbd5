/* The codec of version 1. One table says what each type's header may look like; each payload has
 * its layout above its codec. Bytes are checked here once: what comes out as a struct is good.
 * Reserved and unused fields must be 0, so that a later version can give them a meaning. */
#include "common/wire/frame.h"

#include "common/base/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HELLO_BYTES 47
#define HELLO_ACK_BYTES 69
#define ADDRESS_MAX (1 + 1 + 255 + 2)
#define ACK_FIXED_BYTES 16
#define ACK_RANGE_BYTES 16
#define RESET_FIXED_BYTES 4
#define RESET_REASON_MAX (sizeof(((struct reset_info *)0)->reason) - 1)

static const uint8_t hello_magic[4] = {'M', 'P', 'P', '1'};

_Static_assert(HELLO_BYTES <= HELLO_PAYLOAD_MAX, "HELLO outgrew its bound");
_Static_assert(HELLO_ACK_BYTES <= HELLO_ACK_PAYLOAD_MAX, "HELLO_ACK outgrew its bound");
_Static_assert(ACK_PAYLOAD_MAX <= FRAME_CONTROL_MAX, "ACK outgrew a control frame");
_Static_assert(2 * ADDRESS_MAX <= FRAME_CONTROL_MAX, "OPEN outgrew a control frame");

/* ---- header ---- */

struct frame_rule {
	const char *name;
	uint8_t flags;	  /* those it may have */
	bool has_session; /* needs one; else it must be 0 */
	bool has_offset;  /* may have one; else it must be 0 */
	uint32_t len_min, len_max;
};

#define TYPE_0 0x80 /* types count up from the one above it */
#define TYPE_LAST FRAME_PROBED

/* DATA's len_max is what was agreed. No length fits DATAGRAM: it is not spoken yet. */
static const struct frame_rule rules[] = {
	[FRAME_HELLO - TYPE_0] = {"HELLO", 0, false, false, HELLO_BYTES, HELLO_BYTES},
	[FRAME_HELLO_ACK -
		TYPE_0] = {"HELLO_ACK", 0, false, false, HELLO_ACK_BYTES, HELLO_ACK_BYTES},
	[FRAME_AUTH - TYPE_0] = {"AUTH", 0, false, false, MAC_BYTES, MAC_BYTES},
	[FRAME_OPEN - TYPE_0] = {"OPEN", 0, true, false, 2, 2 * ADDRESS_MAX},
	[FRAME_DATA - TYPE_0] = {"DATA", FRAME_FLAG_FIN, true, true, 0, FRAME_PAYLOAD_MAX},
	[FRAME_ACK - TYPE_0] = {"ACK", 0, true, true, ACK_FIXED_BYTES, ACK_PAYLOAD_MAX},
	[FRAME_RESET - TYPE_0] = {"RESET", FRAME_FLAG_ANSWER, true, true, RESET_FIXED_BYTES,
				  RESET_FIXED_BYTES + RESET_REASON_MAX},
	[FRAME_PING - TYPE_0] = {"PING", 0, false, false, 8, 8},
	[FRAME_PONG - TYPE_0] = {"PONG", 0, false, false, 8, 8},
	[FRAME_PATH_LOST - TYPE_0] = {"PATH_LOST", 0, false, false, 8, 8},
	[FRAME_PATH_STALLED - TYPE_0] = {"PATH_STALLED", 0, false, false, 8, 8},
	[FRAME_PATH_BACK - TYPE_0] = {"PATH_BACK", 0, false, false, 8, 8},
	[FRAME_DRAIN - TYPE_0] = {"DRAIN", 0, false, false, 0, 0},
	[FRAME_DRAINED - TYPE_0] = {"DRAINED", 0, false, false, 0, 0},
	[FRAME_TUNNEL_CLOSE - TYPE_0] = {"TUNNEL_CLOSE", 0, false, false, 0, 0},
	[FRAME_DATAGRAM - TYPE_0] = {"DATAGRAM", 0, false, false, 1, 0},
	[FRAME_PROBE - TYPE_0] = {"PROBE", 0, false, false, 8, 8},
	[FRAME_PROBED - TYPE_0] = {"PROBED", 0, false, false, 8, 8},
};

const char *frame_type_name(uint8_t type)
{
	if (type <= TYPE_0 || type > TYPE_LAST)
		return "?";
	return rules[type - TYPE_0].name;
}

void tunnel_id_text(const struct tunnel_id *id, char ret_text[TUNNEL_ID_TEXT_BYTES])
{
	for (size_t i = 0; i < sizeof(id->bytes); i++)
		snprintf(ret_text + 2 * i, 3, "%02x", id->bytes[i]);
}

/* The header is of fixed size and done for every frame: it needs no cursor and no checks of
 * length. Compilers turn these into one move and one byte swap. */
static inline uint32_t load_u32(const uint8_t *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static inline uint64_t load_u64(const uint8_t *in)
{
	return (uint64_t)load_u32(in) << 32 | load_u32(in + 4);
}

static inline void store_u32(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

static inline void store_u64(uint8_t *out, uint64_t v)
{
	store_u32(out, (uint32_t)(v >> 32));
	store_u32(out + 4, (uint32_t)v);
}

/* type u8 | flags u8 | zero u16 | payload length u32 | session u64 | offset u64 */
void frame_encode(const struct frame *f, uint8_t out[FRAME_HEADER_BYTES])
{
	out[0] = f->type;
	out[1] = f->flags;
	out[2] = 0;
	out[3] = 0;
	store_u32(out + 4, f->len);
	store_u64(out + 8, f->session);
	store_u64(out + 16, f->offset);
}

static bool session_is_valid(const struct frame_rule *rule, uint64_t session)
{
	return rule->has_session ? session != 0 && session != UINT64_MAX : session == 0;
}

static bool offset_is_valid(const struct frame_rule *rule, const struct frame *f)
{
	uint64_t takes = 0;

	if (!rule->has_offset)
		return f->offset == 0;
	if (f->type == FRAME_DATA)
		takes = (uint64_t)f->len + (f->flags & FRAME_FLAG_FIN ? 1 : 0);
	return f->offset < UINT64_MAX && takes <= UINT64_MAX - f->offset;
}

int frame_decode(const uint8_t in[FRAME_HEADER_BYTES], uint32_t payload_max, struct frame *ret)
{
	struct frame f = {in[0], in[1], load_u32(in + 4), load_u64(in + 8), load_u64(in + 16)};
	const struct frame_rule *rule;
	uint32_t len_max;

	if (f.type <= TYPE_0 || f.type > TYPE_LAST)
		return -EPROTO;
	rule = &rules[f.type - TYPE_0];
	len_max = f.type == FRAME_DATA ? payload_max : rule->len_max;
	if ((f.flags & ~rule->flags) != 0 || in[2] != 0 || in[3] != 0)
		return -EPROTO;
	if (f.len < rule->len_min || f.len > len_max)
		return -EPROTO;
	if (!session_is_valid(rule, f.session) || !offset_is_valid(rule, &f))
		return -EPROTO;
	*ret = f;
	return 0;
}

/* ---- payloads ---- */

/* Every field was there and nothing is left. */
static bool is_whole(const struct reader *r)
{
	return !r->is_bad && reader_left(r) == 0;
}

static size_t written(const struct writer *w)
{
	assert(!w->is_bad);
	return writer_len(w);
}

static bool payload_max_is_valid(uint32_t payload_max)
{
	return payload_max >= FRAME_PAYLOAD_MIN && payload_max <= FRAME_PAYLOAD_MAX;
}

/* HELLO
 *    0  magic "MPP1"            4
 *    4  lowest version spoken   u8
 *    5  highest version spoken  u8
 *    6  hops left               u8
 *    7  tunnel id              16
 *   23  generation              u32
 *   27  largest DATA payload    u32
 *   31  nonce                  16 */
size_t hello_encode(const struct hello *h, uint8_t *out, size_t size)
{
	struct writer w;

	writer_init(&w, out, size);
	writer_bytes(&w, hello_magic, sizeof(hello_magic));
	writer_u8(&w, h->version_min);
	writer_u8(&w, h->version_max);
	writer_u8(&w, h->hops_left);
	writer_bytes(&w, h->tunnel.bytes, sizeof(h->tunnel.bytes));
	writer_u32(&w, h->generation);
	writer_u32(&w, h->payload_max);
	writer_bytes(&w, h->nonce, sizeof(h->nonce));
	return written(&w);
}

static bool hello_is_valid(const struct hello *h)
{
	return h->version_min > 0 && h->version_min <= h->version_max &&
	       h->hops_left <= HOP_LIMIT && payload_max_is_valid(h->payload_max);
}

int hello_decode(const uint8_t *in, size_t len, struct hello *ret)
{
	uint8_t magic[sizeof(hello_magic)];
	struct reader r;
	struct hello h = {0};

	reader_init(&r, in, len);
	reader_bytes(&r, magic, sizeof(magic));
	h.version_min = reader_u8(&r);
	h.version_max = reader_u8(&r);
	h.hops_left = reader_u8(&r);
	reader_bytes(&r, h.tunnel.bytes, sizeof(h.tunnel.bytes));
	h.generation = reader_u32(&r);
	h.payload_max = reader_u32(&r);
	reader_bytes(&r, h.nonce, sizeof(h.nonce));
	if (!is_whole(&r) || memcmp(magic, hello_magic, sizeof(magic)) != 0 || !hello_is_valid(&h))
		return -EPROTO;
	*ret = h;
	return 0;
}

/* HELLO_ACK
 *    0  version chosen          u8
 *    1  egress instance         u64
 *    9  largest DATA payload    u32
 *   13  first credit, bytes     u32
 *   17  most sessions           u32
 *   21  nonce                  16
 *   37  HMAC, zeros without    32 */
size_t hello_ack_encode(const struct hello_ack *h, uint8_t *out, size_t size)
{
	struct writer w;

	writer_init(&w, out, size);
	writer_u8(&w, h->version);
	writer_u64(&w, h->instance);
	writer_u32(&w, h->payload_max);
	writer_u32(&w, h->first_credit);
	writer_u32(&w, h->sessions_max);
	writer_bytes(&w, h->nonce, sizeof(h->nonce));
	writer_bytes(&w, h->mac, sizeof(h->mac));
	return written(&w);
}

static bool hello_ack_is_valid(const struct hello_ack *h)
{
	return h->version > 0 && h->instance != 0 && payload_max_is_valid(h->payload_max) &&
	       h->sessions_max > 0;
}

int hello_ack_decode(const uint8_t *in, size_t len, struct hello_ack *ret)
{
	struct reader r;
	struct hello_ack h = {0};

	reader_init(&r, in, len);
	h.version = reader_u8(&r);
	h.instance = reader_u64(&r);
	h.payload_max = reader_u32(&r);
	h.first_credit = reader_u32(&r);
	h.sessions_max = reader_u32(&r);
	reader_bytes(&r, h.nonce, sizeof(h.nonce));
	reader_bytes(&r, h.mac, sizeof(h.mac));
	if (!is_whole(&r) || !hello_ack_is_valid(&h))
		return -EPROTO;
	*ret = h;
	return 0;
}

/* RFC 1123's letters, digits, '-' and '.', and the '_' that private names have. By hand, because
 * isalnum asks the locale. */
static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

/* An address: its kind u8, then
 *   NONE  nothing
 *   IPV4  ip 4, port u16
 *   IPV6  ip 16, port u16
 *   NAME  length u8 (not 0), name, port u16 */
static void address_encode(struct writer *w, const struct address *a)
{
	size_t name_len;

	writer_u8(w, (uint8_t)a->kind);
	switch (a->kind) {
	case ADDRESS_NONE:
		return;
	case ADDRESS_IPV4:
		writer_bytes(w, a->ip, 4);
		break;
	case ADDRESS_IPV6:
		writer_bytes(w, a->ip, 16);
		break;
	case ADDRESS_NAME:
		name_len = strnlen(a->name, sizeof(a->name) - 1);
		writer_u8(w, (uint8_t)name_len);
		writer_bytes(w, a->name, name_len);
		break;
	}
	writer_u16(w, a->port);
}

static void name_decode(struct reader *r, struct address *ret)
{
	uint8_t len = reader_u8(r);

	reader_bytes(r, ret->name, len);
	for (uint8_t i = 0; i < len; i++) {
		if (!is_host_char(ret->name[i]))
			r->is_bad = true;
	}
	if (len == 0)
		r->is_bad = true;
}

/* `ret` comes zeroed; what is wrong sets the reader's is_bad. */
static void address_decode(struct reader *r, struct address *ret)
{
	uint8_t kind = reader_u8(r);

	if (kind > ADDRESS_NAME) {
		r->is_bad = true;
		return;
	}
	ret->kind = (enum address_kind)kind;
	switch (ret->kind) {
	case ADDRESS_NONE:
		return;
	case ADDRESS_IPV4:
		reader_bytes(r, ret->ip, 4);
		break;
	case ADDRESS_IPV6:
		reader_bytes(r, ret->ip, 16);
		break;
	case ADDRESS_NAME:
		name_decode(r, ret);
		break;
	}
	ret->port = reader_u16(r);
}

/* OPEN: the target's address, then the client's. */
size_t open_encode(const struct open_info *o, uint8_t *out, size_t size)
{
	struct writer w;

	writer_init(&w, out, size);
	address_encode(&w, &o->target);
	address_encode(&w, &o->client);
	return written(&w);
}

int open_decode(const uint8_t *in, size_t len, struct open_info *ret)
{
	struct open_info o = {0};
	struct reader r;

	reader_init(&r, in, len);
	address_decode(&r, &o.target);
	address_decode(&r, &o.client);
	if (!is_whole(&r))
		return -EPROTO;
	*ret = o;
	return 0;
}

/* ACK
 *    0  credit, an offset       u64
 *    8  delay, microseconds     u32
 *   12  up to 32 ranges, as many as the payload's length tells:
 *         start u64, end u64 (exclusive) */
size_t ack_encode(const struct ack_info *a, uint8_t *out, size_t size)
{
	struct writer w;

	assert(a->range_count <= ACK_RANGES_MAX);
	writer_init(&w, out, size);
	writer_u64(&w, a->credit);
	writer_u32(&w, a->delay_us);
	writer_u32(&w, a->clock_us);
	for (uint32_t i = 0; i < a->range_count; i++) {
		writer_u64(&w, a->ranges[i].start);
		writer_u64(&w, a->ranges[i].end);
	}
	return written(&w);
}

/* The count of ranges in an ACK of `len` bytes, or -EPROTO. */
static int ack_range_count(size_t len)
{
	if (len < ACK_FIXED_BYTES || len > ACK_PAYLOAD_MAX ||
	    (len - ACK_FIXED_BYTES) % ACK_RANGE_BYTES != 0)
		return -EPROTO;
	return (int)((len - ACK_FIXED_BYTES) / ACK_RANGE_BYTES);
}

int ack_decode(const struct frame *head, const uint8_t *in, size_t len, struct ack_info *ret)
{
	int range_count = ack_range_count(len);
	uint64_t lowest = head->offset + 1; /* the byte at `offset` itself is what is missing */
	struct ack_info a = {0};
	struct reader r;

	if (range_count < 0)
		return range_count;
	reader_init(&r, in, len);
	a.credit = reader_u64(&r);
	a.delay_us = reader_u32(&r);
	a.clock_us = reader_u32(&r);
	a.range_count = (uint32_t)range_count;
	for (uint32_t i = 0; i < a.range_count; i++) {
		struct range *range = &a.ranges[i];

		range->start = reader_u64(&r);
		range->end = reader_u64(&r);
		if (range->start < lowest || range->end <= range->start)
			return -EPROTO;
		lowest = range->end;
	}
	*ret = a;
	return 0;
}

static const char *const reset_names[] = {
	[RESET_FINISHED] = "finished", [RESET_BY_PEER] = "by_peer",
	[RESET_REFUSED] = "refused",   [RESET_BY_OPERATOR] = "by_operator",
	[RESET_NO_PATH] = "no_path",   [RESET_NO_OPEN] = "no_open",
	[RESET_PROTOCOL] = "protocol", [RESET_LIMIT] = "limit",
	[RESET_CLOSING] = "closing",   [RESET_TIMEOUT] = "timeout",
};

const char *reset_code_name(uint32_t code)
{
	return code < sizeof(reset_names) / sizeof(*reset_names) ? reset_names[code] : "?";
}

bool reset_code_is_immediate(uint32_t code)
{
	return code >= RESET_BY_OPERATOR && code <= RESET_TIMEOUT;
}

/* RESET: code u32, then the reason to the payload's end, at most 127 bytes. Codes that are not
 * known pass: a later version may have more of them, and a session that ends, ends. */
size_t reset_encode(const struct reset_info *r, uint8_t *out, size_t size)
{
	struct writer w;

	writer_init(&w, out, size);
	writer_u32(&w, r->code);
	writer_bytes(&w, r->reason, strnlen(r->reason, RESET_REASON_MAX));
	return written(&w);
}

int reset_decode(const uint8_t *in, size_t len, struct reset_info *ret)
{
	struct reset_info info = {0};
	struct reader r;

	if (len < RESET_FIXED_BYTES || len > RESET_FIXED_BYTES + RESET_REASON_MAX)
		return -EPROTO;
	reader_init(&r, in, len);
	info.code = reader_u32(&r);
	for (char *c = info.reason; reader_left(&r) > 0; c++) {
		uint8_t byte = reader_u8(&r);

		*c = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
	}
	*ret = info;
	return 0;
}

/* PING, PONG, PATH_LOST, PATH_STALLED, PATH_BACK: one u64. */
size_t u64_encode(uint64_t v, uint8_t *out, size_t size)
{
	struct writer w;

	writer_init(&w, out, size);
	writer_u64(&w, v);
	return written(&w);
}

int u64_decode(const uint8_t *in, size_t len, uint64_t *ret)
{
	struct reader r;
	uint64_t v;

	reader_init(&r, in, len);
	v = reader_u64(&r);
	if (!is_whole(&r))
		return -EPROTO;
	*ret = v;
	return 0;
}
