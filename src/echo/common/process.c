/* Worker processes and what they share: see process.h. */
#include "echo/common/process.h"

#include "common/base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void begin_child(pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it ended before we could ask to be told */
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int process_fork(pid_t *ret_pid, int *ret_channel)
{
	pid_t parent = getpid(), pid;
	int ends[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		err = -errno;
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	if (pid == 0) {
		begin_child(parent);
		close(ends[0]);
		*ret_channel = ends[1];
		return 1;
	}
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret_pid = pid;
	*ret_channel = ends[0];
	return 0;
}

void *process_share(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

unsigned process_files_open(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!folder)
		return 0;
	while (readdir(folder))
		count++;
	closedir(folder);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the folder's own */
}

int64_t process_bytes_in(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int64_t kib = -1;

	if (!file)
		return -1;
	while (kib < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoll(line + strlen(name), NULL, 10);
	fclose(file);
	return kib < 0 ? -1 : kib * KIB;
}

static size_t memory_of(pid_t pid)
{
	char path[64];
	int64_t bytes;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	bytes = process_bytes_in(path, "Pss:");
	if (bytes < 0) {
		snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
		bytes = process_bytes_in(path, "VmRSS:");
	}
	return bytes < 0 ? 0 : (size_t)bytes;
}

/* Children of ours are forked by main threads only, and belong to these. */
static size_t memory_of_children(pid_t pid)
{
	char path[96];
	size_t bytes = 0;
	int child;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fscanf(file, "%d", &child) == 1)
		bytes += process_tree_memory(child);
	fclose(file);
	return bytes;
}

size_t process_tree_memory(pid_t pid)
{
	return memory_of(pid) + memory_of_children(pid);
}
