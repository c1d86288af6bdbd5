/* The handshake of a subflow: HELLO, HELLO_ACK, AUTH, and the proofs that both ends have the
 * same key. A proof is HMAC-SHA-256(key, role || HELLO's payload || HELLO_ACK's payload with a
 * MAC of zeros): it covers both nonces and all that was agreed, and the role keeps one end's
 * proof from being reflected as the other's. */
#include "common/io/subflow_internal.h"

#include "common/base/rng.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum role { ROLE_DIALLER = 'D', ROLE_LISTENER = 'L' };

static const uint8_t no_mac[MAC_BYTES];

static void make_proof(const struct subflow *s, enum role role, uint8_t ret_mac[MAC_BYTES])
{
	uint8_t said[1 + HELLO_PAYLOAD_MAX + HELLO_ACK_PAYLOAD_MAX];
	struct hello_ack ack = s->ack;
	unsigned int mac_len = MAC_BYTES;
	size_t len = 1;

	memset(ack.mac, 0, sizeof(ack.mac));
	said[0] = (uint8_t)role;
	len += hello_encode(&s->hello, said + len, sizeof(said) - len);
	len += hello_ack_encode(&ack, said + len, sizeof(said) - len);
	/* libcrypto without SHA-256, or without memory: nothing could be proven any more. */
	if (!HMAC(EVP_sha256(), s->key->bytes, (int)s->key->len, said, len, ret_mac, &mac_len))
		abort();
}

static bool is_proof(const struct subflow *s, enum role role, const uint8_t *mac)
{
	uint8_t expected[MAC_BYTES];

	make_proof(s, role, expected);
	return !CRYPTO_memcmp(expected, mac, MAC_BYTES);
}

static void put(struct subflow *s, enum frame_type type, const uint8_t *payload, size_t len)
{
	struct frame head = {.type = (uint8_t)type, .len = (uint32_t)len};

	subflow_out_put(s, &head, payload, NULL);
}

/* A peer that has not read the few bytes sent so far, or is gone. */
static bool lose_if_blocked(struct subflow *s)
{
	if (s->is_blocked)
		subflow_lose(s, "it took no bytes during the handshake");
	return s->is_blocked;
}

static void go_up(struct subflow *s)
{
	s->state = SUBFLOW_UP;
	s->deadline_us = NEVER_US;
	s->ops->up(s, &s->ack);
}

/* ---- the dialler ---- */

void subflow_send_hello(struct subflow *s)
{
	uint8_t payload[HELLO_PAYLOAD_MAX];

	s->state = SUBFLOW_HELLO_SENT;
	s->deadline_us = worker_now(s->worker) + HELLO_ACK_WAIT_MS * US_PER_MS;
	put(s, FRAME_HELLO, payload, hello_encode(&s->hello, payload, sizeof(payload)));
}

/* NULL, or why the answer is not acceptable. */
static const char *find_fault(const struct subflow *s)
{
	const struct hello_ack *ack = &s->ack;
	bool has_mac = memcmp(ack->mac, no_mac, MAC_BYTES) != 0;

	if (ack->version != FRAME_VERSION)
		return "its HELLO_ACK has another version";
	if (ack->payload_max > s->hello.payload_max)
		return "its HELLO_ACK has a larger frame than was offered";
	if (!s->key)
		return has_mac ? "it has a key and this module has none" : NULL;
	if (!has_mac)
		return "it has no key and this module has one";
	return is_proof(s, ROLE_LISTENER, ack->mac) ? NULL : "it does not have the same key";
}

void subflow_take_hello_ack(struct subflow *s, const struct frame *head, const uint8_t *payload)
{
	const char *fault;

	if (s->state != SUBFLOW_HELLO_SENT || hello_ack_decode(payload, head->len, &s->ack)) {
		subflow_refuse(s, "its HELLO_ACK is malformed or out of place");
		return;
	}
	fault = find_fault(s);
	if (fault) {
		subflow_refuse(s, "%s", fault);
		return;
	}
	if (lose_if_blocked(s))
		return;
	s->in.payload_max = s->ack.payload_max;
	if (s->key) {
		uint8_t mac[MAC_BYTES];

		make_proof(s, ROLE_DIALLER, mac);
		put(s, FRAME_AUTH, mac, MAC_BYTES);
	}
	go_up(s);
}

/* ---- the listener ---- */

void subflow_answer(struct subflow *s, const struct hello_ack *ack)
{
	uint8_t payload[HELLO_ACK_PAYLOAD_MAX];

	assert(s->state == SUBFLOW_UNANSWERED);
	if (s->is_blocked) {
		/* As above; the tick says so, because nobody expects `lost` in here. */
		s->out_err = s->out_err ? s->out_err : -ENOBUFS;
		return;
	}
	s->ack = *ack;
	s->in.payload_max = ack->payload_max;
	random_bytes(s->ack.nonce, sizeof(s->ack.nonce));
	memset(s->ack.mac, 0, sizeof(s->ack.mac));
	if (s->key)
		make_proof(s, ROLE_LISTENER, s->ack.mac);
	put(s, FRAME_HELLO_ACK, payload, hello_ack_encode(&s->ack, payload, sizeof(payload)));
	if (!s->key) {
		go_up(s);
		return;
	}
	s->state = SUBFLOW_AUTH_WAIT;
	s->deadline_us = worker_now(s->worker) + HELLO_WAIT_MS * US_PER_MS;
}

void subflow_take_auth(struct subflow *s, const struct frame *head, const uint8_t *payload)
{
	if (s->state != SUBFLOW_AUTH_WAIT || head->len != MAC_BYTES)
		subflow_refuse(s, "its AUTH is malformed or out of place");
	else if (!is_proof(s, ROLE_DIALLER, payload))
		subflow_refuse(s, "it does not have the same key");
	else if (!lose_if_blocked(s))
		go_up(s);
}
