/* The key that the modules of a chain share: the bytes of a file, without newlines at its end. It
 * is read here, once, so that --check finds what the start would. */
#include "common/conf/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A key of the greatest length has room for its newline, and what is longer shows. */
#define FILE_BYTES_MAX (KEY_BYTES_MAX + 2)

/* Up to FILE_BYTES_MAX of them, also from a pipe; a negative errno. */
static ssize_t read_start(const char *path, uint8_t bytes[FILE_BYTES_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && len < (ssize_t)FILE_BYTES_MAX) {
		n = read(fd, bytes + len, FILE_BYTES_MAX - (size_t)len);
		if (n > 0)
			len += n;
	}
	if (n < 0)
		len = -errno;
	close(fd);
	return len;
}

int key_read(struct draft *d, const char *where, const char *path)
{
	uint8_t bytes[FILE_BYTES_MAX];
	ssize_t len = read_start(path, bytes);
	bool goes_on = len == (ssize_t)FILE_BYTES_MAX;

	if (len < 0)
		return draft_fail(d, where, path, "expected a file that can be read: %s",
				  strerror((int)-len));
	while (len > 0 && bytes[len - 1] == '\n')
		len--;
	if (goes_on || len > (ssize_t)KEY_BYTES_MAX)
		return draft_fail(d, where, path,
				  "expected a key of %u to %u bytes in it, not of more",
				  KEY_BYTES_MIN, KEY_BYTES_MAX);
	if (len < (ssize_t)KEY_BYTES_MIN)
		return draft_fail(d, where, path,
				  "expected a key of %u to %u bytes in it, not of %zd",
				  KEY_BYTES_MIN, KEY_BYTES_MAX, len);
	memcpy(d->conf.key, bytes, (size_t)len);
	d->conf.key_len = (size_t)len;
	return 0;
}
