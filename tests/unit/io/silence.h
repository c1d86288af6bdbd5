/* A socket that hears nothing any more: a filter drops every segment before TCP sees it. */
#ifndef TESTS_UNIT_IO_SILENCE_H
#define TESTS_UNIT_IO_SILENCE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/socket.h>

static inline void silence(int fd, bool is_silent)
{
	struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &drop_all};
	int zero = 0;

	if (is_silent)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
					    sizeof(program)),
				 0);
	else
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof(zero)),
				 0);
}

#endif
