/* setns(2) there and back. */
#include "emulator/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER "/run/netns/"

int netns_enter(const char *name, int *ret_home_fd)
{
	char path[sizeof(FOLDER) + 256];
	int home_fd, there_fd, err = 0;

	if (name[0] == '\0') {
		*ret_home_fd = -1;
		return 0;
	}
	snprintf(path, sizeof(path), FOLDER "%s", name);
	home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_fd < 0)
		return -errno;
	there_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (there_fd < 0 || setns(there_fd, CLONE_NEWNET) < 0)
		err = -errno;
	if (there_fd >= 0)
		close(there_fd);
	if (err) {
		close(home_fd);
		return err;
	}
	*ret_home_fd = home_fd;
	return 0;
}

void netns_leave(int home_fd)
{
	if (home_fd < 0)
		return;
	if (setns(home_fd, CLONE_NEWNET) < 0)
		abort();
	close(home_fd);
}
