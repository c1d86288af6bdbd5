/* Sites come with their first reader or writer and go with the last: see site.h. */
#include "mcast/core/site.h"

#include "mcast/core/memory.h"

#include <assert.h>
#include <string.h>

void sites_init(struct sites *s)
{
	*s = (struct sites){0};
	idmap_init(&s->map);
}

void sites_done(struct sites *s)
{
	assert(s->map.count == 0);
	idmap_done(&s->map);
}

static struct site *find(const struct sites *s, const struct place *p, uint64_t hash)
{
	for (struct hashed *h = hashed_first(&s->map, hash); h; h = h->next) {
		struct site *site = container_of(h, struct site, hashed);

		if (place_is_same(&site->place, p))
			return site;
	}
	return NULL;
}

struct site *sites_find(const struct sites *s, const struct place *p)
{
	return ip_is_multicast(&p->address) ? find(s, p, place_hash(p)) : NULL;
}

static struct site *find_or_new(struct sites *s, const struct place *p)
{
	uint64_t hash = place_hash(p);
	struct site *site = find(s, p, hash);

	if (site)
		return site;
	site = memory_new(1, sizeof(*site));
	memcpy(site->interface, p->interface, strlen(p->interface)); /* zeros behind it */
	site->place = (struct place){site->interface, p->address, p->port};
	list_init(&site->readers);
	hashed_put(&s->map, &site->hashed, hash);
	return site;
}

static void free_if_idle(struct sites *s, struct site *site)
{
	if (!list_is_empty(&site->readers) || site->writer_count > 0)
		return;
	hashed_remove(&s->map, &site->hashed);
	free(site);
}

void sites_add(struct sites *s, const struct rule *r, struct site_reader readers[RULE_INPUTS_MAX])
{
	for (size_t i = 0; i < r->input_count; i++) {
		struct place p = place_of_input(&r->inputs[i]);
		struct site *site = find_or_new(s, &p);

		readers[i] = (struct site_reader){.site = site, .rule = r};
		list_push_back(&site->readers, &readers[i].link);
	}
	for (size_t i = 0; i < r->output_count; i++) {
		struct place p = place_of_output(&r->outputs[i]);

		if (ip_is_multicast(&p.address))
			find_or_new(s, &p)->writer_count++;
	}
}

void sites_remove(struct sites *s, const struct rule *r,
		  struct site_reader readers[RULE_INPUTS_MAX])
{
	for (size_t i = 0; i < r->input_count; i++) {
		list_remove(&readers[i].link);
		free_if_idle(s, readers[i].site);
	}
	for (size_t i = 0; i < r->output_count; i++) {
		struct place p = place_of_output(&r->outputs[i]);
		struct site *site = sites_find(s, &p);

		if (!site)
			continue;
		assert(site->writer_count > 0);
		site->writer_count--;
		free_if_idle(s, site);
	}
}
