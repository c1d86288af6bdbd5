/* Figures of one stream or of all: see report.h. */
#include "common/base/minmax.h"
#include "mcast/sink/report.h"

void figures_add(struct figures *ret, const struct flow *f, uint64_t expect)
{
	ret->received += f->received;
	ret->bytes += f->bytes;
	ret->lost += account_lost(&f->account, expect);
	ret->lost_on_way += flow_lost_on_way(f, expect);
	ret->dropped_here += f->dropped_here;
	ret->duplicated += f->account.duplicated;
	ret->reordered += f->account.reordered;
	ret->too_late += f->account.too_late;
	ret->corrupted += f->corrupted;
	ret->foreign += f->foreign;
	ret->early += f->early;
	if (f->received == 0)
		return;
	ret->first_ns = ret->first_ns ? min_u64(ret->first_ns, f->first_ns) : f->first_ns;
	ret->last_ns = max_u64(ret->last_ns, f->last_ns);
	hist_merge(&ret->delay_ns, &f->delay_ns);
}

double figures_seconds(const struct figures *f)
{
	return (double)(f->last_ns - f->first_ns) / 1e9;
}

bool report_is_exact(const struct sink *s)
{
	for (uint32_t i = 0; i < s->opened; i++)
		if (!flow_is_exact(&s->flows[i], s->plan->expect))
			return false;
	return s->plan->expect > 0;
}
