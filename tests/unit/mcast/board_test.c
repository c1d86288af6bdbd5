/* with: src/mcast/common/board.c */
/* A board is made, mapped twice, and what is none is not mapped. */
#include "mcast/common/board.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static void all_see_the_same(void **state)
{
	int fd = board_create();
	const char *why = NULL;
	struct board *one, *two;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	one = board_map(fd, &why);
	two = board_map(fd, &why);
	close(fd);
	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal(one->streams[BOARD_SLOTS_MAX - 1].sent_packets, 0);
	one->streams[BOARD_SLOTS_MAX - 1].sent_packets = 7;
	assert_int_equal(two->streams[BOARD_SLOTS_MAX - 1].sent_packets, 7);
	board_unmap(one);
	board_unmap(two);
	board_unmap(NULL);
}

static void what_is_none(void **state)
{
	int fd = board_create(), null = open("/dev/null", O_RDWR);
	const uint32_t version = BOARD_VERSION + 1;
	const char *why = NULL;

	(void)state;
	assert_null(board_map(-1, &why));
	assert_null(board_map(null, &why));
	assert_string_equal(why, "it is no file");
	assert_int_equal(pwrite(fd, &version, sizeof(version), 0), sizeof(version));
	assert_null(board_map(fd, &why));
	assert_string_equal(why, "it is of another version");
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_null(board_map(fd, &why));
	assert_string_equal(why, "it has another size");
	close(fd);
	close(null);
}

static void drops_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < DROP_REASONS; i++)
		assert_non_null(drop_reason_names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_see_the_same),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(drops_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
