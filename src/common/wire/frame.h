/* The data-plane codec, version 1 (docs/protocol.md, "Frames"): a 24-byte header and typed
 * payloads. Nothing here keeps state or touches a socket; bytes from outside become checked
 * structs or an error. All integers are in network byte order on the wire. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "common/base/limits.h"
#include "common/base/rangeset.h"

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 24
#define FRAME_VERSION 1

enum frame_type {
	FRAME_HELLO = 0x81,
	FRAME_HELLO_ACK = 0x82,
	FRAME_AUTH = 0x83,
	FRAME_OPEN = 0x84,
	FRAME_DATA = 0x85,
	FRAME_ACK = 0x86,
	FRAME_RESET = 0x87,
	FRAME_PING = 0x88,
	FRAME_PONG = 0x89,
	FRAME_PATH_LOST = 0x8a,
	FRAME_PATH_STALLED = 0x8b,
	FRAME_PATH_BACK = 0x8c,
	FRAME_DRAIN = 0x8d,
	FRAME_DRAINED = 0x8e, /* reserved: a DRAIN that comes back says the same */
	FRAME_TUNNEL_CLOSE = 0x8f,
	FRAME_DATAGRAM = 0x90,
	FRAME_PROBE = 0x91,
	FRAME_PROBED = 0x92,
};

#define FRAME_FLAG_FIN 0x01    /* DATA: the stream ends after these bytes */
#define FRAME_FLAG_ANSWER 0x01 /* RESET: answers a RESET or a stray frame; is never answered */

/* The header. `session` and `offset` are 0 where the type has no use for them. */
struct frame {
	uint8_t type;
	uint8_t flags;
	uint32_t len; /* payload bytes */
	uint64_t session;
	uint64_t offset;
};

/* What a relay says of its hops, and not the other end. */
static inline bool frame_is_path_event(uint8_t type)
{
	return type == FRAME_PATH_LOST || type == FRAME_PATH_STALLED || type == FRAME_PATH_BACK;
}

const char *frame_type_name(uint8_t type); /* "DATA"; "?" for what there is not */

void frame_encode(const struct frame *f, uint8_t out[FRAME_HEADER_BYTES]);

/* 0, or -EPROTO: an unknown or reserved type (DATAGRAM), a flag the type does not have, a reserved
 * field that is not 0, DATA over `payload_max`, another payload of a length its type cannot have,
 * a session of 0 or UINT64_MAX where one is needed (a range ends after its last id, so that id has
 * none), a session or an offset where the type has no use for it, an offset of UINT64_MAX, an
 * offset + length that overflows (FIN counts as one byte). */
int frame_decode(const uint8_t in[FRAME_HEADER_BYTES], uint32_t payload_max, struct frame *ret);

/* ---- payloads: encode returns the payload's length, decode 0 or -EPROTO ----
 * A buffer of FRAME_CONTROL_MAX bytes holds any of them; one that is too small is the caller's
 * bug, and so is a value that decode would refuse. Trailing bytes are an error in version 1. */

struct tunnel_id {
	uint8_t bytes[16];
};

#define TUNNEL_ID_TEXT_BYTES 33 /* 32 hex digits, NUL */
void tunnel_id_text(const struct tunnel_id *id, char ret_text[TUNNEL_ID_TEXT_BYTES]);

struct hello {
	uint8_t version_min, version_max; /* 1 .. ; FRAME_VERSION may lie outside */
	uint8_t hops_left; /* at most HOP_LIMIT; 0 is decoded, so that who refuses it can say why */
	struct tunnel_id tunnel;
	uint32_t generation;
	uint32_t payload_max; /* FRAME_PAYLOAD_MIN .. FRAME_PAYLOAD_MAX */
	uint8_t nonce[16];
};

/* Largest encoded HELLO or HELLO_ACK payload. */
#define HELLO_PAYLOAD_MAX 64

size_t hello_encode(const struct hello *h, uint8_t *out, size_t size);
int hello_decode(const uint8_t *in, size_t len, struct hello *ret);

#define MAC_BYTES 32

struct hello_ack {
	uint8_t version;
	uint64_t instance; /* of the egress's side of this tunnel; random, never 0 */
	uint32_t payload_max;
	uint32_t first_credit;
	uint32_t sessions_max; /* never 0 */
	uint8_t nonce[16];
	uint8_t mac[MAC_BYTES]; /* HMAC over both nonces when a key is set, else zeros */
};

#define HELLO_ACK_PAYLOAD_MAX 96

size_t hello_ack_encode(const struct hello_ack *h, uint8_t *out, size_t size);
int hello_ack_decode(const uint8_t *in, size_t len, struct hello_ack *ret);

enum address_kind { ADDRESS_NONE, ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_NAME };

/* An address as it travels: NONE as a target means the egress's default backend. */
struct address {
	enum address_kind kind;
	uint8_t ip[16]; /* 4 bytes used for IPv4 */
	uint16_t port;
	char name[256]; /* NUL-terminated; letters, digits, '-', '.', '_' */
};

struct open_info {
	struct address target;
	struct address client;
};

size_t open_encode(const struct open_info *o, uint8_t *out, size_t size);
int open_decode(const uint8_t *in, size_t len, struct open_info *ret);

struct ack_info {
	/* header.offset: all below is held in order or delivered */
	uint64_t credit;   /* highest offset that the peer may send, exclusive */
	uint32_t delay_us; /* from the newest byte acknowledged to this ACK */
	uint32_t clock_us; /* when it was sent: its sender's clock, the lower 32 bits */
	uint32_t range_count;
	struct range ranges[ACK_RANGES_MAX]; /* ascending, disjoint, above header.offset */
};

#define ACK_PAYLOAD_MAX (16 + 16 * ACK_RANGES_MAX)

size_t ack_encode(const struct ack_info *a, uint8_t *out, size_t size);
int ack_decode(const struct frame *head, const uint8_t *in, size_t len, struct ack_info *ret);

/* Why a session was reset. Codes travel; never renumber. */
enum reset_code {
	RESET_FINISHED = 0, /* the id is finished: all was delivered, or nobody waits for it */
	RESET_BY_PEER = 1,  /* the client or server reset its connection */
	RESET_REFUSED = 2,  /* the server refused or could not be reached */
	RESET_BY_OPERATOR = 3,
	RESET_NO_PATH = 4,  /* no path for session_wait_ms, or for a new client */
	RESET_NO_OPEN = 5,  /* DATA came, its OPEN did not */
	RESET_PROTOCOL = 6, /* beyond credit, past FIN, two ends */
	RESET_LIMIT = 7,    /* sessions or memory */
	RESET_CLOSING = 8,  /* the other end shuts down */
	RESET_TIMEOUT = 9,
};

const char *reset_code_name(uint32_t code);

/* A reset by an operator, by one of us who cannot go on, or after a wait that was long enough: it
 * does not wait until what was sent before it is delivered. The others are ends of the user's own
 * connections, where plain TCP would have delivered that. */
bool reset_code_is_immediate(uint32_t code);

struct reset_info {
	/* header.offset: final offset of the sender's direction */
	uint32_t code;
	char reason[128]; /* NUL-terminated, printable ASCII; decode replaces what is not */
};

size_t reset_encode(const struct reset_info *r, uint8_t *out, size_t size);
int reset_decode(const uint8_t *in, size_t len, struct reset_info *ret);

/* PING and PONG: the sender's clock, echoed. PATH_*: the event id. PROBE and PROBED: the token of
 * the end that asks, echoed. All are one u64. */
size_t u64_encode(uint64_t v, uint8_t *out, size_t size);
int u64_decode(const uint8_t *in, size_t len, uint64_t *ret);

#endif
