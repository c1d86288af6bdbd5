/* The one-byte commands: see ctlmsg.h. The count of addresses is checked as soon as it is
 * there, so that a broken command is refused without waiting for the bytes that it promises;
 * the addresses are checked when they are whole. */
#include "common/wire/ctlmsg.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdbool.h>

#define ADDRESS_BYTES 6u

static bool op_is_known(uint8_t op)
{
	return op >= CTLMSG_HEALTH_CHECK && op <= CTLMSG_CLOSE;
}

static int decode_addresses(struct reader *r, struct ctlmsg *msg)
{
	size_t count;

	if (reader_left(r) == 0)
		return 0;
	count = (size_t)reader_u8(r) - '0'; /* below '0' it wraps to far above the maximum */
	if (count < 1 || count > PATHS_MAX)
		return -EPROTO;
	if (reader_left(r) < count * ADDRESS_BYTES)
		return 0;
	for (size_t i = 0; i < count; i++) {
		reader_bytes(r, msg->addresses[i].ip, sizeof(msg->addresses[i].ip));
		msg->addresses[i].port = reader_u16(r);
		if (msg->addresses[i].port == 0)
			return -EPROTO;
	}
	msg->address_count = count;
	return 1;
}

int ctlmsg_decode(const uint8_t *in, size_t len, size_t *ret_used, struct ctlmsg *ret)
{
	struct ctlmsg msg = {0};
	struct reader r;
	uint8_t op;
	int rc = 1;

	if (len == 0)
		return 0;
	reader_init(&r, in, len);
	op = reader_u8(&r);
	if (!op_is_known(op))
		return -EPROTO;
	msg.op = (enum ctlmsg_op)op;
	if (msg.op == CTLMSG_UPDATE_TOPO_PRE)
		rc = decode_addresses(&r, &msg);
	if (rc != 1)
		return rc;
	*ret_used = len - reader_left(&r);
	*ret = msg;
	return 1;
}

const char *ctlmsg_op_name(enum ctlmsg_op op)
{
	switch (op) {
	case CTLMSG_HEALTH_CHECK:
		return "health_check";
	case CTLMSG_UPDATE_TOPO_PRE:
		return "update_topo_pre";
	case CTLMSG_UPDATE_TOPO:
		return "update_topo";
	case CTLMSG_RESET:
		return "reset";
	case CTLMSG_CLOSE:
		return "close";
	}
	return "?";
}
