/* The shared memory of the test frontend: its layout, its bells, and the client's side of it.
 * Knows nothing of the engine or io_uring. On a request's path: the client's end, before frontend_shm.c and after it.
 */
#include "gateway/drivers/shm_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

struct shm_client {
	struct shm_map map;
	char *path;
	unsigned outstanding;
	uint8_t busy[QUEUE_DEPTH_MAX]; /* submitted by us and not yet polled */
};

static size_t page_round(size_t bytes)
{
	return (bytes + SHM_PAGE_BYTES - 1) / SHM_PAGE_BYTES * SHM_PAGE_BYTES;
}

size_t shm_slots_offset(void)
{
	return SHM_PAGE_BYTES;
}

size_t shm_payload_offset(unsigned queue_depth)
{
	return shm_slots_offset() + page_round(queue_depth * sizeof(struct shm_slot));
}

size_t shm_total_bytes(unsigned queue_depth, uint32_t io_bytes)
{
	return shm_payload_offset(queue_depth) + (size_t)queue_depth * io_bytes;
}

static bool geometry_is_valid(unsigned queue_depth, uint32_t io_bytes)
{
	return queue_depth >= 1 && queue_depth <= QUEUE_DEPTH_MAX && io_bytes >= SHM_PAGE_BYTES &&
	       io_bytes <= IO_BYTES_MAX && io_bytes % SHM_PAGE_BYTES == 0;
}

static int map_file(int fd, unsigned queue_depth, uint32_t io_bytes, struct shm_map *ret)
{
	size_t bytes = shm_total_bytes(queue_depth, io_bytes);
	uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	*ret = (struct shm_map){
		.fd = fd,
		.bytes = bytes,
		.header = (struct shm_header *)base,
		.slots = (struct shm_slot *)(base + shm_slots_offset()),
		.payloads = base + shm_payload_offset(queue_depth),
		.queue_depth = queue_depth,
		.io_bytes = io_bytes,
	};
	return 0;
}

/* The file may have been made by anything: nothing in it is believed before it is checked. */
static int check_file(int fd, const char *path, struct shm_header *ret, struct err *err)
{
	struct stat st;
	ssize_t n = pread(fd, ret, sizeof(*ret), 0);

	if (n < 0)
		return err_set(err, -errno, "shared memory %s: cannot be read: %s", path, strerror(errno));
	if (n != (ssize_t)sizeof(*ret) || ret->magic != SHM_MAGIC)
		return err_set(err, -EINVAL, "shared memory %s: not a file made by a Lockstep test client", path);
	if (ret->version != SHM_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "shared memory %s: version %u, expected %u", path, ret->version,
			       SHM_VERSION);
	if (!geometry_is_valid(ret->queue_depth, ret->io_bytes))
		return err_set(err, -EINVAL, "shared memory %s: queue depth %u or payload of %u bytes is out of range",
			       path, ret->queue_depth, ret->io_bytes);
	if (fstat(fd, &st) || (uint64_t)st.st_size < shm_total_bytes(ret->queue_depth, ret->io_bytes))
		return err_set(err, -EINVAL, "shared memory %s: shorter than its header says", path);
	return 0;
}

static int bell_name(const char *path, char ret[PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s.bell", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Opened for both directions it has a reader and a writer always: neither side ever sees the other one's end. */
static int open_bell(const char *path, int flags)
{
	char name[PATH_MAX];
	struct stat st;
	int fd;

	if (bell_name(path, name))
		return -ENAMETOOLONG;
	if (flags & O_CREAT && ((unlink(name) && errno != ENOENT) || mkfifo(name, 0600)))
		return -errno;
	fd = open(name, O_RDWR | O_CLOEXEC | (flags & O_NONBLOCK));
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int shm_map_open(const char *path, struct shm_map *ret, struct err *err)
{
	struct shm_header header;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int bell_fd, rc;

	if (fd < 0)
		return err_set(err, -errno, "shared memory %s: %s; the test client makes it before the gateway starts",
			       path, strerror(errno));
	rc = check_file(fd, path, &header, err);
	if (rc)
		goto err_close;
	bell_fd = rc = open_bell(path, 0);
	if (rc < 0) {
		err_set(err, rc, "shared memory %s: its FIFO %s.bell cannot be opened: %s", path, path, strerror(-rc));
		goto err_close;
	}
	rc = map_file(fd, header.queue_depth, header.io_bytes, ret);
	if (rc) {
		err_set(err, rc, "shared memory %s: cannot be mapped: %s", path, strerror(-rc));
		goto err_bell;
	}
	ret->bell_fd = bell_fd;
	return 0;
err_bell:
	close(bell_fd);
err_close:
	close(fd);
	return rc;
}

void shm_map_close(struct shm_map *map)
{
	if (!map->header)
		return;
	munmap(map->header, map->bytes);
	close(map->fd);
	close(map->bell_fd);
	*map = (struct shm_map){.fd = -1, .bell_fd = -1};
}

void shm_futex_wait(uint32_t *word, uint32_t seen, int timeout_ms)
{
	struct timespec ts = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000L};

	/* EAGAIN, EINTR and ETIMEDOUT all mean: look again (futex(2)). Not PRIVATE: two processes. */
	syscall(SYS_futex, word, FUTEX_WAIT, seen, timeout_ms < 0 ? NULL : &ts, NULL, 0);
}

void shm_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int create_file(const char *path, unsigned queue_depth, uint32_t io_bytes, struct shm_map *ret)
{
	int fd, rc;

	/* A gateway may still have the old file mapped: replaced, never truncated under it. */
	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = ftruncate(fd, (off_t)shm_total_bytes(queue_depth, io_bytes)) ? -errno : 0;
	if (!rc)
		rc = map_file(fd, queue_depth, io_bytes, ret);
	if (rc)
		goto err_file;
	rc = open_bell(path, O_CREAT | O_NONBLOCK);
	if (rc < 0)
		goto err_map;
	ret->bell_fd = rc;
	return 0;
err_map:
	munmap(ret->header, ret->bytes);
err_file:
	unlink(path);
	close(fd);
	return rc;
}

static void unlink_files(const char *path)
{
	char name[PATH_MAX];

	unlink(path);
	if (!bell_name(path, name))
		unlink(name);
}

int shm_client_create(const char *path, unsigned queue_depth, uint32_t io_bytes, struct shm_client **ret,
		      struct err *err)
{
	struct shm_client *client;
	int rc = -ENOMEM;

	if (!geometry_is_valid(queue_depth, io_bytes))
		return err_set(err, -EINVAL, "shared memory %s: queue depth %u or payload of %u bytes is out of range",
			       path, queue_depth, io_bytes);
	client = calloc(1, sizeof(*client));
	if (!client)
		goto err_out;
	client->path = strdup(path);
	if (!client->path)
		goto err_free;
	rc = create_file(path, queue_depth, io_bytes, &client->map);
	if (rc)
		goto err_free;
	assert(client->map.header);
	client->map.header->version = SHM_VERSION;
	client->map.header->queue_depth = queue_depth;
	client->map.header->io_bytes = io_bytes;
	client->map.header->client_pid = (uint32_t)getpid();
	__atomic_store_n(&client->map.header->magic, SHM_MAGIC, __ATOMIC_RELEASE);
	*ret = client;
	return 0;
err_free:
	free(client->path);
	free(client);
err_out:
	return err_set(err, rc, "shared memory %s: cannot be created: %s", path, strerror(-rc));
}

void shm_client_free(struct shm_client *client)
{
	if (!client)
		return;
	unlink_files(client->path);
	shm_map_close(&client->map);
	free(client->path);
	free(client);
}

unsigned shm_client_depth(const struct shm_client *client)
{
	return client->map.queue_depth;
}

void *shm_client_payload(const struct shm_client *client, unsigned slot)
{
	return shm_map_payload(&client->map, slot);
}

static uint64_t deadline_after(int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
}

/* Rounded up: a wait must not spin through its last millisecond. */
static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_now_ns();

	if (deadline_ns == UINT64_MAX)
		return -1;
	return deadline_ns <= now ? 0 : (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

int shm_client_wait_gateway(struct shm_client *client, uint32_t *count, int timeout_ms)
{
	uint32_t *serving = &client->map.header->serving;
	uint64_t deadline = deadline_after(timeout_ms);
	uint32_t seen;

	for (;;) {
		seen = __atomic_load_n(serving, __ATOMIC_ACQUIRE);
		if (seen != *count)
			break;
		if (left_ms(deadline) == 0)
			return -ETIMEDOUT;
		shm_futex_wait(serving, seen, left_ms(deadline));
	}
	*count = seen;
	return 0;
}

uint64_t shm_client_volume_bytes(const struct shm_client *client)
{
	return __atomic_load_n(&client->map.header->volume_bytes, __ATOMIC_RELAXED);
}

uint32_t shm_client_block_bytes(const struct shm_client *client)
{
	return __atomic_load_n(&client->map.header->block_bytes, __ATOMIC_RELAXED);
}

/* Seq_cst against the gateway's "set sleeps, then look once more": one of the two sees the other. Rung once a sleep. */
static void ring_submit_bell(const struct shm_map *map)
{
	if (!__atomic_exchange_n(&map->header->gateway_sleeps, 0, __ATOMIC_SEQ_CST))
		return;
	if (write(map->bell_fd, "", 1) < 0)
		return; /* full: there is enough to wake up for */
}

int shm_client_submit(struct shm_client *client, unsigned slot, enum shm_op op, unsigned flags, uint64_t offset,
		      uint64_t length)
{
	struct shm_header *header = client->map.header;
	struct shm_slot *s;

	if (slot >= client->map.queue_depth || (unsigned)op > SHM_ZEROES)
		return -EINVAL;
	if ((op == SHM_READ || op == SHM_WRITE) && length > client->map.io_bytes)
		return -EINVAL;
	if (client->busy[slot])
		return -EBUSY;
	s = &client->map.slots[slot];
	s->op = op;
	s->flags = flags;
	s->offset = offset;
	s->length = length;
	s->result = 0;
	s->generation++;
	client->busy[slot] = 1;
	client->outstanding++;
	__atomic_store_n(&s->state, SHM_SUBMITTED, __ATOMIC_RELEASE);
	__atomic_fetch_or(&header->submitted[slot / 64], 1ull << (slot % 64), __ATOMIC_SEQ_CST);
	ring_submit_bell(&client->map);
	return 0;
}

/* A gateway killed between the state and the bit leaves no bit: whoever waits long looks at the states themselves. */
static void recover_completed_bits(struct shm_client *client)
{
	struct shm_map *map = &client->map;

	for (unsigned slot = 0; slot < map->queue_depth; slot++)
		if (client->busy[slot] && __atomic_load_n(&map->slots[slot].state, __ATOMIC_ACQUIRE) == SHM_DONE)
			__atomic_fetch_or(&map->header->completed[slot / 64], 1ull << (slot % 64), __ATOMIC_SEQ_CST);
}

static bool collect(struct shm_client *client, unsigned slot, struct shm_completion *ret)
{
	struct shm_slot *s = &client->map.slots[slot];

	if (!client->busy[slot] || __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != SHM_DONE)
		return false;
	*ret = (struct shm_completion){.slot = slot, .error = s->result};
	__atomic_store_n(&s->state, SHM_FREE, __ATOMIC_RELEASE);
	client->busy[slot] = 0;
	client->outstanding--;
	return true;
}

unsigned shm_client_poll(struct shm_client *client, struct shm_completion *ret, unsigned max)
{
	unsigned count = 0;

	for (unsigned word = 0; word < (client->map.queue_depth + 63) / 64; word++) {
		uint64_t *bits = &client->map.header->completed[word];
		uint64_t todo = __atomic_load_n(bits, __ATOMIC_ACQUIRE);

		while (todo && count < max) {
			unsigned bit = (unsigned)__builtin_ctzll(todo);

			todo &= todo - 1;
			__atomic_fetch_and(bits, ~(1ull << bit), __ATOMIC_ACQ_REL);
			if (word * 64 + bit < client->map.queue_depth && collect(client, word * 64 + bit, &ret[count]))
				count++;
		}
	}
	return count;
}

static bool something_completed(const struct shm_client *client)
{
	for (unsigned word = 0; word < (client->map.queue_depth + 63) / 64; word++)
		if (__atomic_load_n(&client->map.header->completed[word], __ATOMIC_SEQ_CST))
			return true;
	return false;
}

/* Sleeps in slices: only a gateway that was killed in the wrong instruction makes the slice matter. */
#define WAIT_SLICE_MS 200

int shm_client_wait(struct shm_client *client, int timeout_ms)
{
	struct shm_header *header = client->map.header;
	uint64_t deadline = deadline_after(timeout_ms);

	while (!something_completed(client)) {
		int left = left_ms(deadline);
		uint32_t bell = __atomic_load_n(&header->complete_bell, __ATOMIC_SEQ_CST);

		if (left == 0)
			return -ETIMEDOUT;
		__atomic_store_n(&header->client_sleeps, 1, __ATOMIC_SEQ_CST);
		if (!something_completed(client))
			shm_futex_wait(&header->complete_bell, bell,
				       left < 0 || left > WAIT_SLICE_MS ? WAIT_SLICE_MS : left);
		__atomic_store_n(&header->client_sleeps, 0, __ATOMIC_SEQ_CST);
		recover_completed_bits(client);
	}
	return 0;
}

unsigned shm_client_outstanding(const struct shm_client *client)
{
	return client->outstanding;
}
