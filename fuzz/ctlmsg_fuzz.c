/* Fuzz target for the one-byte commands: reads commands until the input is used up or refused.
 * A command takes at least a byte, never more than there are, and depends on its own bytes
 * only: without its last byte it is not whole yet. */
#include "common/wire/ctlmsg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
	if (!is_true)
		abort();
}

static void check_command(const uint8_t *data, size_t used, const struct ctlmsg *msg)
{
	struct ctlmsg again;
	size_t used_again = 0;

	require(msg->op == data[0]);
	require(msg->address_count <= PATHS_MAX);
	require((msg->address_count > 0) == (msg->op == CTLMSG_UPDATE_TOPO_PRE));
	require(ctlmsg_decode(data, used, &used_again, &again) == 1 && used_again == used);
	require(ctlmsg_decode(data, used - 1, &used_again, &again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctlmsg msg;
	size_t used;

	while (ctlmsg_decode(data, size, &used, &msg) == 1) {
		require(used > 0 && used <= size);
		check_command(data, used, &msg);
		data += used;
		size -= used;
	}
	return 0;
}
