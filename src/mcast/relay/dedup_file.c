/* A dedup in a memory file: see dedup_file.h. */
#include "mcast/relay/dedup_file.h"

#include "common/base/rng.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct dedup *dedup_file_map(int fd)
{
	struct stat st;
	void *memory;

	/* Of another version, it would be of another size. */
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size != (off_t)dedup_bytes())
		return NULL;
	memory = mmap(NULL, dedup_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void dedup_file_unmap(struct dedup *d)
{
	if (d)
		munmap(d, dedup_bytes());
}

int dedup_file_new(enum rule_match match)
{
	int fd = memfd_create("multicast_relay dedup", MFD_CLOEXEC), err;
	struct dedup *d = NULL;
	uint64_t seed;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)dedup_bytes()) == 0)
		d = dedup_file_map(fd);
	if (!d) {
		err = errno;
		close(fd);
		return -err;
	}
	random_bytes(&seed, sizeof(seed));
	dedup_init(d, match, seed);
	dedup_file_unmap(d);
	return fd;
}
