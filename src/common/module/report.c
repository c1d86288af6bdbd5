/* The shared parts of `stats`: see report.h. */
#include "common/module/report.h"

#include "common/module/daemon.h"

#include <stdio.h>

json_t *report_begin(const struct budget *b)
{
	return json_pack("{s:i, s:{s:I, s:I, s:I, s:I}}", "tunnels", 0, "memory", "used_bytes",
			 (json_int_t)b->chunks.used_bytes, "used_bytes_max",
			 (json_int_t)b->chunks.used_bytes_max, "granted_bytes",
			 (json_int_t)b->granted_bytes, "limit_bytes",
			 (json_int_t)b->chunks.limit_bytes);
}

void report_add_counters(json_t *stats, const struct tunnel_counters *c)
{
	json_t *own = json_pack("{s:{s:i, s:i, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I, s:I, s:I}}",
		"sessions", "open", 0, "waiting", 0,
		"opened_total", (json_int_t)c->opened, "finished_total", (json_int_t)c->finished,
		"reset_total", (json_int_t)c->reset, "refused_total", (json_int_t)c->refused,
		"bytes", "from_edge_total", (json_int_t)c->from_edge_bytes,
		"to_edge_total", (json_int_t)c->to_edge_bytes,
		"sent_total", (json_int_t)c->sent_bytes, "resent_total", (json_int_t)c->resent_bytes,
		"received_total", (json_int_t)c->received_bytes,
		"duplicate_total", (json_int_t)c->duplicate_bytes);

	json_add(stats, own);
	json_decref(own);
}

void report_add_tunnel(json_t *stats, const struct tunnel *t)
{
	json_int_t waiting = 0;
	json_t *own;

	list_for_each(node, &t->sessions_all)
		waiting += !container_of(node, struct session, all_node)->was_opened;
	own = json_pack("{s:i, s:{s:I, s:I}}", "tunnels", 1, "sessions", "open",
			(json_int_t)tunnel_session_count(t) - waiting, "waiting", waiting);
	json_add(stats, own);
	json_decref(own);
	report_add_counters(stats, &t->counters);
}

size_t report_limit(const json_t *args)
{
	const json_t *limit = json_object_get(args, "limit");

	return json_is_integer(limit) && json_integer_value(limit) >= 0
		       ? (size_t)json_integer_value(limit) : 100;
}

void report_join(const json_t *list, char *ret_text, size_t size)
{
	size_t used = 0, index;
	json_t *item;

	ret_text[0] = '\0';
	json_array_foreach(list, index, item) {
		int n = snprintf(ret_text + used, size - used, "%s%s", index ? "; " : "",
				 json_string_value(item));

		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}
