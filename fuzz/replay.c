/* Stands in for libFuzzer where there is none: hands each file named on the command line to the
 * target once. A finding aborts; a file that cannot be read is an error, so that a corpus that
 * went missing is noticed. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1024u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs the target on a copy of just the input's size, so that ASan guards its end. */
static int replay_bytes(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	return 0;
}

/* Reads the file into `buffer` of FILE_BYTES_MAX + 1 bytes and runs the target on it. */
static int replay_file(const char *path, uint8_t *buffer)
{
	FILE *file = fopen(path, "rb");
	size_t len;
	int err;

	if (!file)
		return -errno;
	errno = 0;
	len = fread(buffer, 1, FILE_BYTES_MAX + 1, file);
	err = ferror(file) ? -errno : len > FILE_BYTES_MAX ? -EFBIG : 0;
	fclose(file);
	return err < 0 ? err : replay_bytes(buffer, len);
}

int main(int argc, char **argv)
{
	uint8_t *buffer = malloc(FILE_BYTES_MAX + 1);
	int failures = 0;

	if (!buffer || argc < 2) {
		fprintf(stderr, "usage: %s <file>...\n", argv[0]);
		free(buffer);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int err = replay_file(argv[i], buffer);

		if (err == 0)
			continue;
		fprintf(stderr, "%s: %s\n", argv[i], strerror(-err));
		failures++;
	}
	printf("%d of %d inputs replayed\n", argc - 1 - failures, argc - 1);
	free(buffer);
	return failures ? 1 : 0;
}
