/* LD_PRELOAD library: counts a process's allocations and locks by thread, in a file other programs can read while it
 * runs. MALLOC_COUNT_FILE names it; records of `struct thread_count` are kept up to date at fixed places. Knows nothing
 * of Lockstep. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define THREADS_MAX 64

struct thread_count {
	_Atomic uint64_t tid, count, bytes, locks;
	char name[16];
};

static struct thread_count *counts;
static _Atomic unsigned used;
static __thread struct thread_count *mine __attribute__((tls_model("initial-exec")));

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

__attribute__((constructor)) static void open_counts(void)
{
	const char *path = getenv("MALLOC_COUNT_FILE");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	void *memory;

	if (fd < 0)
		return;
	if (ftruncate(fd, THREADS_MAX * sizeof(*counts)) == 0) {
		memory = mmap(NULL, THREADS_MAX * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory != MAP_FAILED)
			counts = memory;
	}
	close(fd);
}

/* False: nobody reads. */
static bool is_counted(void)
{
	if (!counts)
		return false;
	if (!mine) {
		unsigned idx = atomic_fetch_add(&used, 1);

		mine = &counts[idx < THREADS_MAX ? idx : THREADS_MAX - 1];
		mine->tid = (uint64_t)gettid();
	}
	if ((mine->count + mine->locks) % 16 < 2)
		prctl(PR_GET_NAME, mine->name);
	return true;
}

static void count(size_t bytes)
{
	if (!is_counted())
		return;
	mine->count++;
	mine->bytes += bytes;
}

static void count_lock(void)
{
	if (is_counted())
		mine->locks++;
}

void *malloc(size_t bytes)
{
	count(bytes);
	return __libc_malloc(bytes);
}

void *calloc(size_t count_, size_t bytes)
{
	count(count_ * bytes);
	return __libc_calloc(count_, bytes);
}

void *realloc(void *memory, size_t bytes)
{
	count(bytes);
	return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	count(bytes);
	return __libc_memalign(alignment, bytes);
}

void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
	count(bytes);
	return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret, size_t alignment, size_t bytes)
{
	count(bytes);
	*ret = __libc_memalign(alignment, bytes);
	return *ret ? 0 : 12;
}

/* Locks, taken or tried. The next definition is asked for once: dlsym() takes locks itself. */
#define LOCK(name, type)                                                                                               \
	int name(type *lock) /* NOLINT(bugprone-macro-parentheses): a type */                                          \
	{                                                                                                              \
		static int (*next)(type *);                                                                            \
                                                                                                                       \
		if (!next)                                                                                             \
			*(void **)&next = dlsym(RTLD_NEXT, #name);                                                     \
		count_lock();                                                                                          \
		return next(lock);                                                                                     \
	}

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_mutex_trylock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
