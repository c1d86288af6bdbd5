/* What mpp_controller can ask of a module: the operations by name, the arguments that they take
 * on the command line, and the request that comes of it. */
#ifndef CONTROLLER_OPERATION_H
#define CONTROLLER_OPERATION_H

#include <jansson.h>
#include <stdio.h>

#define OPERATION_WHY_MAX 512

/* argv[0] names the operation. 0 and the request, which the caller owns; or -EINVAL, and
 * `ret_why` names the argument, its value and what was expected. */
int operation_request(int argc, char *const *argv, json_t **ret_request,
		      char ret_why[OPERATION_WHY_MAX]);

/* One line each, with what they do. */
void operation_help(FILE *out);

#endif
