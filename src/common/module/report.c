/* The shared parts of `stats`: see report.h. */
#include "common/module/report.h"

#include "common/base/hostport.h"
#include "common/module/daemon.h"

#include <stdio.h>
#include <stdlib.h>

void report_put(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

void report_put_address(json_t *object, const char *key, const struct conf_address *a)
{
	char text[HOSTPORT_TEXT_MAX];

	hostport_text(a->host, a->port, text);
	json_object_set_new(object, key, json_string(text));
}

json_t *report_begin(const struct budget *b)
{
	json_t *memory = json_object();

	report_put(memory, "used_bytes", b->chunks.used_bytes);
	report_put(memory, "used_bytes_max", b->chunks.used_bytes_max);
	report_put(memory, "granted_bytes", b->granted_bytes);
	report_put(memory, "limit_bytes", b->chunks.limit_bytes);
	return json_pack("{s:i, s:o}", "tunnels", 0, "memory", memory);
}

void report_add_counters(json_t *stats, const struct tunnel_counters *c)
{
	json_t *sessions = json_pack("{s:i, s:i}", "open", 0, "waiting", 0);
	json_t *bytes = json_object();
	json_t *own = json_pack("{s:o, s:o}", "sessions", sessions, "bytes", bytes);

	report_put(sessions, "opened_total", c->opened);
	report_put(sessions, "finished_total", c->finished);
	report_put(sessions, "reset_total", c->reset);
	report_put(sessions, "refused_total", c->refused);
	report_put(bytes, "from_edge_total", c->from_edge_bytes);
	report_put(bytes, "to_edge_total", c->to_edge_bytes);
	report_put(bytes, "sent_total", c->sent_bytes);
	report_put(bytes, "resent_total", c->resent_bytes);
	report_put(bytes, "received_total", c->received_bytes);
	report_put(bytes, "duplicate_total", c->duplicate_bytes);
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
		       ? (size_t)json_integer_value(limit)
		       : 100;
}

char *report_join(const json_t *reasons)
{
	const char *name, *separator = "";
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	json_t *why;

	if (!out)
		abort();
	/* jansson's iterator wants it writable, and leaves it alone. */
	json_object_foreach((json_t *)(uintptr_t)reasons, name, why) {
		fprintf(out, "%s%s: %s", separator, name, json_string_value(why));
		separator = "; ";
	}
	if (fclose(out) != 0)
		abort();
	return text;
}
