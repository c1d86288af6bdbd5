/* One stream at the sink: see flow.h. */
#include "mcast/sink/flow.h"

#include "common/base/minmax.h"

#include <string.h>

void flow_init(struct flow *f)
{
	memset(f, 0, sizeof(*f));
	f->fd = -1;
	hist_init(&f->delay_ns);
	account_init(&f->account);
}

static bool is_ours(struct flow *f, const struct stamp *s)
{
	if (!f->has_origin) {
		f->has_origin = true;
		f->run = s->run;
		f->stream = s->stream;
	}
	return f->run == s->run && f->stream == s->stream;
}

static void note_arrival(struct flow *f, uint64_t sent_ns, uint64_t arrived_ns)
{
	if (f->received == 0)
		f->first_ns = arrived_ns;
	f->last_ns = max_u64(f->last_ns, arrived_ns);
	f->early += arrived_ns < sent_ns;
	hist_add(&f->delay_ns, arrived_ns - min_u64(sent_ns, arrived_ns));
}

void flow_take(struct flow *f, const struct payload *p, const uint8_t *bytes, size_t len,
	       uint64_t arrived_ns)
{
	struct stamp s;
	enum payload_verdict verdict = payload_read(p, bytes, len, &s);

	/* What is corrupted must not say which stream this is. */
	if (verdict == PAYLOAD_CORRUPTED) {
		f->corrupted++;
	} else if (verdict == PAYLOAD_FOREIGN || !is_ours(f, &s)) {
		f->foreign++;
	} else {
		note_arrival(f, s.sent_ns, arrived_ns);
		f->received++;
		f->bytes += len;
		account_take(&f->account, s.sequence);
	}
}

uint64_t flow_lost_on_way(const struct flow *f, uint64_t expect)
{
	uint64_t lost = account_lost(&f->account, expect);

	return lost - min_u64(lost, f->dropped_here);
}

bool flow_is_exact(const struct flow *f, uint64_t expect)
{
	return account_is_exact(&f->account, expect) && f->corrupted == 0;
}
