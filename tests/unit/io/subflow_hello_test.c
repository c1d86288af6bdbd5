/* The handshake of a subflow: with and without a key, with keys that differ, with a proof that is
 * reflected, and when the other end is late or gone. */
/* with: tests/unit/io/subflow_pair.c */
#include "subflow_pair.h"

static const struct subflow_key key_a = {"alpha", 5}, key_b = {"beta!", 5};

static void up_without_a_key(void **state)
{
	static const uint8_t zeros[MAC_BYTES];
	struct pair p;

	(void)state;
	pair_up(&p, NULL);
	assert_int_equal(p.dialler.ack.instance, 77);
	assert_int_equal(p.dialler.ack.sessions_max, 10);
	assert_memory_equal(p.dialler.ack.mac, zeros, MAC_BYTES);
	pair_done(&p);
	assert_int_equal(p.dialler.losses + p.accepter.losses, 0);
}

static void up_with_a_key(void **state)
{
	static const uint8_t zeros[MAC_BYTES];
	struct hello_ack ack = make_ack();
	struct pair p;

	(void)state;
	pair_open(&p, &key_a, &key_a);
	subflow_answer(p.accepter.s, &ack);
	assert_int_equal(p.accepter.ups, 0);
	await(&p.t.w, p.dialler.ups && p.accepter.ups);
	assert_memory_not_equal(p.dialler.ack.mac, zeros, MAC_BYTES);
	pair_done(&p);
	assert_int_equal(p.dialler.losses + p.accepter.losses, 0);
}

static void expect_no_agreement(const struct subflow_key *dialler,
				const struct subflow_key *accepter, const char *why)
{
	struct hello_ack ack = make_ack();
	struct capture log;
	struct pair p;

	capture_start(&log);
	pair_open(&p, dialler, accepter);
	subflow_answer(p.accepter.s, &ack);
	await(&p.t.w, p.dialler.losses && p.accepter.losses);
	assert_string_equal(p.dialler.why, why);
	assert_int_equal(p.dialler.ups, 0);
	assert_int_equal(capture_count(&log, why), 1);
	assert_int_equal(p.dialler.losses, 1);
	assert_int_equal(p.accepter.losses, 1);
	pair_done(&p);
	capture_stop(&log);
	fclose(log.file);
}

static void keys_that_differ(void **state)
{
	(void)state;
	expect_no_agreement(&key_a, &key_b, "it does not have the same key");
	expect_no_agreement(&key_a, NULL, "it has no key and this module has one");
	expect_no_agreement(NULL, &key_a, "it has a key and this module has none");
}

/* An accepted subflow with a key, and a raw dialler that has read the listener's proof. */
static int raw_dialler(struct pair *p, uint8_t ret_mac[MAC_BYTES])
{
	struct hello hello = make_hello();
	struct hello_ack ack = make_ack();
	uint8_t payload[1024];
	int fd;

	pair_init(p);
	fd = loopback_connect(p->port);
	p->accepter.s = subflow_accept_take(&p->t.w, accept(p->listener, NULL, NULL), &hello,
					    &key_a, &pair_ops, &p->accepter);
	subflow_answer(p->accepter.s, &ack);
	expect_frame(p, fd, FRAME_HELLO_ACK, payload);
	assert_int_equal(hello_ack_decode(payload, 69, &ack), 0);
	memcpy(ret_mac, ack.mac, MAC_BYTES);
	return fd;
}

static void expect_refused(struct pair *p, int fd, const char *word)
{
	await(&p->t.w, p->accepter.losses);
	assert_non_null(strstr(p->accepter.why, word));
	assert_int_equal(p->accepter.ups, 0);
	assert_int_equal(p->accepter.frames, 0);
	close(fd);
	pair_done(p);
}

static void a_proof_that_is_reflected_wrong_or_missing(void **state)
{
	struct frame auth = {.type = FRAME_AUTH, .len = MAC_BYTES};
	struct frame drain = {.type = FRAME_DRAIN};
	uint8_t mac[MAC_BYTES], bytes[FRAME_HEADER_BYTES + MAC_BYTES];
	struct capture log;
	struct pair p;
	int fd;

	(void)state;
	capture_start(&log);
	fd = raw_dialler(&p, mac);
	send_all(fd, bytes, encode_frame(&auth, mac, bytes));
	expect_refused(&p, fd, "same key");

	fd = raw_dialler(&p, mac);
	memset(mac, 0, sizeof(mac));
	send_all(fd, bytes, encode_frame(&auth, mac, bytes));
	expect_refused(&p, fd, "same key");

	fd = raw_dialler(&p, mac);
	send_all(fd, bytes, encode_frame(&drain, mac, bytes));
	expect_refused(&p, fd, "DRAIN before the handshake");
	assert_int_equal(capture_count(&log, "closed:"), 3);

	fd = raw_dialler(&p, mac);
	p.accepter.s->deadline_us = 1;
	p.accepter.s->ping_every_ms = 10;
	subflow_start_tick(p.accepter.s);
	expect_refused(&p, fd, "no AUTH in time");
	capture_stop(&log);
	fclose(log.file);
}

static void an_unanswered_one_notices_that_its_dialler_is_gone(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL, NULL);
	subflow_close(p.dialler.s, false);
	p.dialler.s = NULL;
	await(&p.t.w, p.accepter.losses);
	assert_string_equal(p.accepter.why, "closed by the peer");
	pair_done(&p);
}

static void no_answer_in_time(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL, NULL);
	p.dialler.s->deadline_us = 1;
	p.dialler.s->ping_every_ms = 10;
	subflow_start_tick(p.dialler.s);
	await(&p.t.w, p.dialler.losses);
	assert_string_equal(p.dialler.why, "no HELLO_ACK in time");
	await(&p.t.w, p.accepter.losses);
	pair_done(&p);
}

static void a_refused_dial_is_lost_and_can_be_closed_first(void **state)
{
	struct hello hello = make_hello();
	struct pair p;

	(void)state;
	pair_init(&p);
	close(p.listener);
	p.dialler.s = subflow_dial(&p.t.w, "127.0.0.1", p.port, DIAL_WAIT_MS, &hello, NULL,
				   &pair_ops, &p.dialler);
	await(&p.t.w, p.dialler.losses);
	assert_non_null(strstr(p.dialler.why, "connection refused"));

	p.dialler.s = subflow_dial(&p.t.w, "127.0.0.1", p.port, DIAL_WAIT_MS, &hello, NULL,
				   &pair_ops, &p.dialler);
	subflow_close(p.dialler.s, true);
	p.dialler.s = NULL;
	p.listener = loopback_listen(1, &p.port);
	pair_done(&p);
	assert_int_equal(p.dialler.losses, 1);
}

static void a_second_hello_ack_is_out_of_place(void **state)
{
	struct hello_ack ack = make_ack();
	uint8_t payload[HELLO_ACK_PAYLOAD_MAX], bytes[FRAME_HEADER_BYTES + HELLO_ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_HELLO_ACK};
	struct pair p;
	int fd = raw_up(&p);

	(void)state;
	head.len = (uint32_t)hello_ack_encode(&ack, payload, sizeof(payload));
	send_all(fd, bytes, encode_frame(&head, payload, bytes));
	await(&p.t.w, p.dialler.losses);
	assert_non_null(strstr(p.dialler.why, "out of place"));
	assert_int_equal(p.dialler.ups, 1);
	close(fd);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_without_a_key),
		cmocka_unit_test(up_with_a_key),
		cmocka_unit_test(keys_that_differ),
		cmocka_unit_test(a_proof_that_is_reflected_wrong_or_missing),
		cmocka_unit_test(an_unanswered_one_notices_that_its_dialler_is_gone),
		cmocka_unit_test(no_answer_in_time),
		cmocka_unit_test(a_refused_dial_is_lost_and_can_be_closed_first),
		cmocka_unit_test(a_second_hello_ack_is_out_of_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
