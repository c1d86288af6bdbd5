/* Address lists of a topology change: from a request, with the ratios that it leaves out, and as
 * messages to workers. */
#ifndef MODULE_TOPO_H
#define MODULE_TOPO_H

#include "common/conf/conf.h"
#include "common/io/control.h"

#include <jansson.h>

struct topo_list {
	struct conf_address list[CONF_ADDRESSES_MAX];
	size_t count;
};

/* What the main thread of an ingress keeps of its backends, and that of an egress of its
 * listeners. */
struct topo {
	struct topo_list used;	   /* of the last change, or of the start */
	struct topo_list prepared; /* by update_topo_pre, */
	bool is_prepared;	   /* until update_topo or abort_topo */
	bool is_busy;		   /* a change is at the workers */
};

/* Used are these, at most CONF_ADDRESSES_MAX; nothing is prepared. */
void topo_init(struct topo *t, const struct conf_address *list, size_t count);

/* True when the request has been answered, because a change is under way or prepared. */
bool topo_is_taken(const struct topo *t, struct control_request *req);
/* The same for update_topo and abort_topo: none is under way, and one must be prepared. */
bool topo_lacks_prepared(const struct topo *t, const char *why, struct control_request *req);

/* Reads update_topo_pre's arguments ({"addresses": [{"host", "port", "ratio"?}, ...]}). An
 * address without a ratio keeps the one it has in `known`; a new one gets the mean of the known,
 * 1 if there are none. 0, or -EINVAL and one line in `ret_why`. */
int topo_parse(const json_t *args, const struct topo_list *known, struct topo_list *ret,
	       char ret_why[WHY_BYTES_MAX]);

/* One change to a list: set_weight, add_path, remove_path with {"host", "port", "ratio"?}. */
enum topo_change { TOPO_SET_WEIGHT, TOPO_ADD, TOPO_REMOVE };

/* Makes `ret` from `known` by that change. `what` is "backend" or "listener", for errors.
 * As topo_parse. The last address cannot be removed. */
int topo_change(const json_t *args, enum topo_change change, const char *what,
		const struct topo_list *known, struct topo_list *ret, char ret_why[WHY_BYTES_MAX]);
/* Reads one address ({"host", "port", "ratio"?}) from the arguments of set_weight, add_path or
 * remove_path. A ratio that is missing is 0. 0, or -EINVAL and one line in `ret_why`. */
int topo_parse_one(const json_t *args, struct conf_address *ret, char ret_why[WHY_BYTES_MAX]);

/* The address of the same host and port, or NULL. */
const struct conf_address *topo_find(const struct conf_address *list, size_t count,
				     const struct conf_address *a);

/* {"addresses": [...]} with every ratio; and back, of what topo_to_json made. */
json_t *topo_to_json(const struct conf_address *list, size_t count);
size_t topo_from_json(const json_t *args, struct conf_address ret_addresses[CONF_ADDRESSES_MAX]);

/* {"ratios": [...]}, in the order of the addresses, for the reply. */
json_t *topo_ratios_json(const struct conf_address *list, size_t count);
/* The same, and "ratio", of the address that the request names, if it is still there. */
json_t *topo_reply_json(const struct conf_address *list, size_t count, const json_t *args);

#endif
