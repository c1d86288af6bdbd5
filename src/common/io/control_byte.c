/* The original's one-byte commands on the comm socket: success is '6', failure '7', close has
 * no reply. The codec is wire/ctlmsg. */
#include "common/base/log.h"
#include "common/io/control_conn.h"
#include "common/wire/ctlmsg.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>

static json_t *addresses_to_json(const struct ctlmsg *msg)
{
	json_t *list = json_array();

	for (size_t i = 0; i < msg->address_count; i++) {
		char ip[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, msg->addresses[i].ip, ip, sizeof(ip));
		json_array_append_new(list, json_pack("{s:s, s:i}", "host", ip, "port",
						      (int)msg->addresses[i].port));
	}
	return json_pack("{s:o, s:b}", "addresses", list, "wait", 0);
}

static void send_byte(struct control_conn *conn, char byte, bool then_end)
{
	char *out = malloc(1);

	if (out)
		*out = byte;
	control_conn_send(conn, out, 1, then_end);
}

static void byte_refuse(struct control_conn *conn, const char *why)
{
	log_info("comm: %s, one-byte dialect: %s", conn->peer, why);
	send_byte(conn, CTLMSG_FAILURE, true);
}

static void byte_take(struct control_conn *conn)
{
	struct ctlmsg msg;
	size_t used;
	int rc = ctlmsg_decode((const uint8_t *)control_conn_in(conn), control_conn_in_len(conn),
			       &used, &msg);

	if (rc < 0) {
		byte_refuse(conn, "not a command, expected '1'..'5' and good addresses after '2'");
		return;
	}
	if (rc == 0)
		return;
	control_conn_consume(conn, used);
	conn->has_no_reply = msg.op == CTLMSG_CLOSE;
	control_conn_ask(conn, ctlmsg_op_name(msg.op),
			 msg.op == CTLMSG_UPDATE_TOPO_PRE ? addresses_to_json(&msg)
							  : json_object());
}

static void byte_answer(struct control_conn *conn, json_t *reply)
{
	bool is_ok = json_is_true(json_object_get(reply, "ok"));

	if (conn->has_no_reply)
		control_conn_end(conn);
	else
		send_byte(conn, is_ok ? CTLMSG_SUCCESS : CTLMSG_FAILURE, false);
}

const struct control_dialect control_byte = {
	.take = byte_take,
	.answer = byte_answer,
	.refuse = byte_refuse,
};
