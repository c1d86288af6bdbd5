/* The models by name: see model.h. */
#include "echo/server/model.h"

#include <stdio.h>
#include <string.h>

static const struct model *const models[] = {
	&model_thread,
	&model_fork,
	&model_event,
	&model_uring,
};
static const size_t model_count = sizeof(models) / sizeof(*models);

const struct model *model_find(const char *name)
{
	for (size_t i = 0; i < model_count; i++)
		if (strcmp(models[i]->name, name) == 0)
			return models[i];
	return NULL;
}

void model_names(char ret_text[MODEL_NAMES_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < model_count && len < MODEL_NAMES_MAX; i++) {
		const char *before = i == 0 ? "" : i + 1 < model_count ? ", " : " or ";

		len += (size_t)snprintf(ret_text + len, MODEL_NAMES_MAX - len, "%s%s", before,
					models[i]->name);
	}
}
