/* The table of the models. */
#ifndef SERVER_MODEL_H
#define SERVER_MODEL_H

#include "echo/server/worker.h"

/* Room for the names of all with words between them. */
#define MODEL_NAMES_MAX 64

/* NULL when there is none of this name. */
const struct model *model_find(const char *name);
/* "a, b or c" */
void model_names(char ret_text[MODEL_NAMES_MAX]);

#endif
