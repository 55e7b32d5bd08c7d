/* The gateway's files in the run directory: the lock that keeps a second one out, the record of its device. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/drivers/run_dir.h"
#include "tests/unit/check.h"

static void make_dir(char dir[64])
{
	snprintf(dir, 64, "/tmp/lockstep-run.XXXXXX");
	CHECK_NOT_NULL(mkdtemp(dir));
}

static void remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	CHECK_EQ_INT(0, system(command));
}

static void a_second_gateway_of_a_volume_is_refused_with_the_pid_of_the_first(void)
{
	struct run_dir first, second;
	char dir[64], pid[32];
	struct err err;

	make_dir(dir);
	CHECK_OK(run_dir_open(dir, "v", &first, &err));
	CHECK_ERRNO(-EBUSY, run_dir_open(dir, "v", &second, &err));
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	CHECK_STR_HAS(pid, err.text);
	CHECK_OK(run_dir_open(dir, "other", &second, &err));
	run_dir_close(&second);
	run_dir_close(&first);
	CHECK_OK(run_dir_open(dir, "v", &second, &err));
	run_dir_close(&second);
	remove_dir(dir);
}

static void a_killed_gateway_leaves_no_lock(void)
{
	struct run_dir run_dir;
	char dir[64];
	struct err err;
	int status;
	pid_t pid;

	make_dir(dir);
	pid = fork();
	if (pid == 0)
		_exit(run_dir_open(dir, "v", &run_dir, &err) ? 1 : 0); /* ends without closing anything */
	CHECK_EQ_INT(pid, waitpid(pid, &status, 0));
	CHECK_EQ_INT(0, status);
	CHECK_OK(run_dir_open(dir, "v", &run_dir, &err));
	run_dir_close(&run_dir);
	remove_dir(dir);
}

static void the_device_is_remembered_until_it_is_forgotten(void)
{
	struct run_dir run_dir;
	uint32_t id = 0;
	char dir[64];
	struct err err;

	make_dir(dir);
	CHECK_OK(run_dir_open(dir, "v", &run_dir, &err));
	CHECK_ERRNO(-ENOENT, run_dir_device(&run_dir, &id, &err));
	CHECK_OK(run_dir_record_device(&run_dir, 17, &err));
	CHECK_OK(run_dir_device(&run_dir, &id, &err));
	CHECK_EQ_U64(17, id);
	run_dir_forget_device_id(dir, 16);
	CHECK_OK(run_dir_device(&run_dir, &id, &err));
	run_dir_forget_device_id(dir, 17);
	CHECK_ERRNO(-ENOENT, run_dir_device(&run_dir, &id, &err));
	run_dir_close(&run_dir);
	remove_dir(dir);
}

static void a_record_that_is_no_number_is_refused_by_name(void)
{
	static const char *const texts[] = {"", "x", "-1", "5 or so", "99999999999999999999"};
	struct run_dir run_dir;
	uint32_t id;
	char dir[64];
	struct err err;

	make_dir(dir);
	CHECK_OK(run_dir_open(dir, "v", &run_dir, &err));
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		FILE *file = fopen(run_dir.device_path, "w");

		CHECK_NOT_NULL(file);
		fputs(texts[i], file);
		fclose(file);
		CHECK_ERRNO(-EINVAL, run_dir_device(&run_dir, &id, &err));
		CHECK_STR_HAS("v.device", err.text);
	}
	run_dir_close(&run_dir);
	remove_dir(dir);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_second_gateway_of_a_volume_is_refused_with_the_pid_of_the_first),
	CHECK_TEST(a_killed_gateway_leaves_no_lock),
	CHECK_TEST(the_device_is_remembered_until_it_is_forgotten),
	CHECK_TEST(a_record_that_is_no_number_is_refused_by_name),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("run_dir", tests, argc, argv);
}
