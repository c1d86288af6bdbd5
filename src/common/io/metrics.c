/* Prometheus text from the stats JSON: one table of metrics for the module, one for its paths; and
 * whether the module is ready, from its health.
 * A metric without a single sample is left out with its HELP and TYPE. */
#include "common/io/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MS 1e-3
#define US 1e-6

struct metric {
	const char *group, *key; /* where it is in the stats; group NULL: at the top */
	const char *name;
	const char *type;
	double scale; /* to base units; 0: as it is */
	const char *help;
};

static const struct metric module_metrics[] = {
	{NULL, "uptime_ms", "mpp_uptime_seconds", "gauge", MS, "Time since the start."},
	{NULL, "workers", "mpp_workers", "gauge", 0, "Worker threads."},
	{NULL, "tunnels", "mpp_tunnels", "gauge", 0, "Tunnels."},
	{"sessions", "open", "mpp_sessions_open", "gauge", 0, "Sessions that are open."},
	{"sessions", "waiting", "mpp_sessions_waiting", "gauge", 0,
	 "Clients that wait for a first path."},
	{"sessions", "opened_total", "mpp_sessions_opened_total", "counter", 0, "Sessions opened."},
	{"sessions", "finished_total", "mpp_sessions_finished_total", "counter", 0,
	 "Sessions that ended in order."},
	{"sessions", "reset_total", "mpp_sessions_reset_total", "counter", 0,
	 "Sessions that were reset."},
	{"sessions", "refused_total", "mpp_sessions_refused_total", "counter", 0,
	 "Clients turned away before they had a session."},
	{"bytes", "from_edge_total", "mpp_from_edge_bytes_total", "counter", 0,
	 "Bytes read from clients or servers."},
	{"bytes", "to_edge_total", "mpp_to_edge_bytes_total", "counter", 0,
	 "Bytes written to clients or servers."},
	{"bytes", "sent_total", "mpp_sent_bytes_total", "counter", 0,
	 "Payload bytes sent on subflows, first copies."},
	{"bytes", "resent_total", "mpp_resent_bytes_total", "counter", 0,
	 "Payload bytes sent again."},
	{"bytes", "received_total", "mpp_received_bytes_total", "counter", 0,
	 "Payload bytes received on subflows."},
	{"bytes", "duplicate_total", "mpp_duplicate_bytes_total", "counter", 0,
	 "Payload bytes received that were there already."},
	{"memory", "used_bytes", "mpp_memory_used_bytes", "gauge", 0, "Buffer memory in use."},
	{"memory", "used_bytes_max", "mpp_memory_used_peak_bytes", "gauge", 0,
	 "Most buffer memory ever in use."},
	{"memory", "granted_bytes", "mpp_memory_granted_bytes", "gauge", 0,
	 "Credit granted to peers and not used yet."},
	{"memory", "limit_bytes", "mpp_memory_limit_bytes", "gauge", 0,
	 "What buffer memory may come to."},
	{"connections", "accepted_total", "mpp_connections_accepted_total", "counter", 0,
	 "Connections accepted."},
	{"connections", "rejected_total", "mpp_connections_rejected_total", "counter", 0,
	 "Connections closed for what they said, or did not say."},
};

static const struct metric path_metrics[] = {
	{NULL, "ratio", "mpp_path_weight", "gauge", 0, "Configured weight of the path."},
	{NULL, "share", "mpp_path_share_ratio", "gauge", 0,
	 "Share of the bytes that the path carried, 0 to 1."},
	{NULL, "rate_bps", "mpp_path_rate_bits_per_second", "gauge", 0, "Delivery rate measured."},
	{NULL, "base_rtt_us", "mpp_path_base_rtt_seconds", "gauge", US,
	 "Least round trip end to end of late."},
	{NULL, "rtt_us", "mpp_path_rtt_seconds", "gauge", US, "Round trip end to end."},
	{NULL, "hop_rtt_us", "mpp_path_hop_rtt_seconds", "gauge", US,
	 "Round trip to the next module."},
	{NULL, "inflight_bytes", "mpp_path_inflight_bytes", "gauge", 0,
	 "Bytes sent and not acknowledged."},
	{NULL, "cap_bytes", "mpp_path_cap_bytes", "gauge", 0, "What may be in flight on the path."},
	{NULL, "sent_bytes", "mpp_path_sent_bytes_total", "counter", 0,
	 "Payload bytes sent on the path, first copies."},
	{NULL, "resent_bytes", "mpp_path_resent_bytes_total", "counter", 0,
	 "Payload bytes sent again on the path."},
	{NULL, "received_bytes", "mpp_path_received_bytes_total", "counter", 0,
	 "Payload bytes received on the path."},
	{NULL, "duplicate_bytes", "mpp_path_duplicate_bytes_total", "counter", 0,
	 "Payload bytes received on the path that were there already."},
	{NULL, "dials", "mpp_path_dials_total", "counter", 0, "Connection attempts."},
	{NULL, "losses", "mpp_path_losses_total", "counter", 0, "Connections lost."},
	{NULL, "stalls", "mpp_path_stalls_total", "counter", 0,
	 "Times that nothing sent on the connection arrived for long."},
	{NULL, "redials", "mpp_path_redials_total", "counter", 0,
	 "Stalled connections that a fresh one has replaced."},
	{NULL, "parks", "mpp_path_parks_total", "counter", 0,
	 "Times that the path was spared because others had filled its queue."},
	{NULL, "doubt_us", "mpp_path_doubt_seconds", "gauge", US,
	 "By how much bytes on the path were late of late."},
};

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* " value\n". Counters stay exact integers up to 2^63. */
static void print_value(FILE *out, const json_t *value, double scale)
{
	if (json_is_integer(value) && scale == 0)
		fprintf(out, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	else
		fprintf(out, " %.15g\n", json_number_value(value) * (scale == 0 ? 1 : scale));
}

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void print_label(FILE *out, const char *before, const char *name, const json_t *value)
{
	fprintf(out, "%s%s=\"", before, name);
	if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_string(value))
		print_escaped(out, json_string_value(value));
	fputc('"', out);
}

static void print_labels(FILE *out, const json_t *from, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		print_label(out, i == 0 ? "{" : ",", names[i], json_object_get(from, names[i]));
	fputc('}', out);
}

static void print_path_labels(FILE *out, const json_t *path)
{
	static const char *const names[] = {"tunnel", "worker", "index", "side", "peer"};

	print_labels(out, path, names, sizeof(names) / sizeof(names[0]));
}

static void print_module_metric(FILE *out, const struct metric *m, const json_t *stats)
{
	const json_t *from = m->group ? json_object_get(stats, m->group) : stats;
	const json_t *value = json_object_get(from, m->key);

	if (!json_is_number(value))
		return;
	print_head(out, m->name, m->type, m->help);
	fputs(m->name, out);
	print_value(out, value, m->scale);
}

static void print_path_metric(FILE *out, const struct metric *m, const json_t *paths)
{
	bool has_head = false;

	for (size_t i = 0; i < json_array_size(paths); i++) {
		const json_t *path = json_array_get(paths, i);
		const json_t *value = json_object_get(path, m->key);

		if (!json_is_number(value))
			continue;
		if (!has_head)
			print_head(out, m->name, m->type, m->help);
		has_head = true;
		fputs(m->name, out);
		print_path_labels(out, path);
		print_value(out, value, m->scale);
	}
}

static bool is_text(const json_t *from, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(from, key));

	return value && strcmp(value, text) == 0;
}

/* The state that each path is in, and why, as labels of a 1. */
static void print_path_states(FILE *out, const json_t *paths)
{
	static const char *const names[] = {"tunnel", "worker", "index", "side",
					    "peer",   "state",	"why"};
	bool has_head = false;

	for (size_t i = 0; i < json_array_size(paths); i++) {
		const json_t *path = json_array_get(paths, i);

		if (!json_is_string(json_object_get(path, "state")))
			continue;
		if (!has_head)
			print_head(out, "mpp_path_state", "gauge",
				   "The state the path is in, and why; always 1.");
		has_head = true;
		fputs("mpp_path_state", out);
		print_labels(out, path, names, sizeof(names) / sizeof(names[0]));
		fputs(" 1\n", out);
	}
}

/* States are words in the JSON; here what is on or off is 0 or 1. */
static void print_states(FILE *out, const json_t *stats, const json_t *paths)
{
	static const char *const names[] = {"module", "version", "scheduler"};

	print_head(out, "mpp_info", "gauge", "What runs here; always 1.");
	fputs("mpp_info", out);
	print_labels(out, stats, names, sizeof(names) / sizeof(names[0]));
	fputs(" 1\n", out);
	print_head(out, "mpp_draining", "gauge", "1 while the module drains before it ends.");
	fprintf(out, "mpp_draining %d\n", is_text(stats, "state", "draining"));
	if (json_array_size(paths) == 0)
		return;
	print_head(out, "mpp_path_up", "gauge", "1 while the path is up.");
	for (size_t i = 0; i < json_array_size(paths); i++) {
		fputs("mpp_path_up", out);
		print_path_labels(out, json_array_get(paths, i));
		fprintf(out, " %d\n", is_text(json_array_get(paths, i), "state", "up"));
	}
}

static void print_ready(FILE *out, const json_t *health)
{
	const json_t *ready = json_object_get(health, "ready");

	if (!json_is_boolean(ready))
		return;
	print_head(out, "mpp_ready", "gauge", "1 while there is a way end to end.");
	fprintf(out, "mpp_ready %d\n", json_is_true(ready));
}

void metrics_print(FILE *out, const json_t *stats, const json_t *health)
{
	const json_t *paths = json_object_get(stats, "paths");

	print_states(out, stats, paths);
	print_ready(out, health);
	print_path_states(out, paths);
	for (size_t i = 0; i < sizeof(module_metrics) / sizeof(module_metrics[0]); i++)
		print_module_metric(out, &module_metrics[i], stats);
	for (size_t i = 0; i < sizeof(path_metrics) / sizeof(path_metrics[0]); i++)
		print_path_metric(out, &path_metrics[i], paths);
}
