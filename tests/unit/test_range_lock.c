/* The range lock against a naive one that keeps an ordered list and asks every time who may run. */
#include "gateway/core/range_lock.h"

#include "tests/unit/check.h"

#define ENTRIES 40u

static struct range_lock lock;
static struct range_entry entries[ENTRIES];
static struct list granted;

static void start(void)
{
	range_lock_fini(&lock);
	CHECK_OK(range_lock_init(&lock, ENTRIES));
	list_init(&granted);
	for (unsigned i = 0; i < ENTRIES; i++)
		range_entry_init(&entries[i]);
}

static bool acquire(unsigned i, uint64_t from, uint64_t to, enum range_mode mode)
{
	return range_lock_acquire(&lock, &entries[i], from, to, mode);
}

/* Releases and tells whether exactly `who` was granted first. */
static void release(unsigned i)
{
	range_lock_release(&lock, &entries[i], &granted);
}

static struct range_entry *take_granted(void)
{
	struct range_entry *entry = list_first(&granted, struct range_entry, granted);

	if (entry)
		list_del(&entry->granted);
	return entry;
}

static void reads_share_a_range(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_READ));
	CHECK_TRUE(acquire(1, 5, 15, RANGE_READ));
	release(0);
	release(1);
	CHECK_NULL(take_granted());
	CHECK_TRUE(range_lock_is_empty(&lock));
}

static void a_write_waits_for_overlapping_reads_and_writes(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_READ));
	CHECK_FALSE(acquire(1, 9, 20, RANGE_WRITE));
	CHECK_FALSE(acquire(2, 19, 30, RANGE_WRITE));
	release(0);
	CHECK_TRUE(take_granted() == &entries[1]);
	CHECK_NULL(take_granted());
	release(1);
	CHECK_TRUE(take_granted() == &entries[2]);
}

static void a_read_waits_for_an_overlapping_write(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_WRITE));
	CHECK_FALSE(acquire(1, 0, 1, RANGE_READ));
	release(0);
	CHECK_TRUE(take_granted() == &entries[1]);
}

static void neighbours_do_not_wait_for_each_other(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_WRITE));
	CHECK_TRUE(acquire(1, 10, 20, RANGE_WRITE));
	CHECK_TRUE(acquire(2, 1ull << 40, (1ull << 40) + 1, RANGE_WRITE));
}

static void a_later_reader_does_not_overtake_a_waiting_writer(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_READ));
	CHECK_FALSE(acquire(1, 0, 10, RANGE_WRITE));
	CHECK_FALSE(acquire(2, 0, 10, RANGE_READ));
	CHECK_TRUE(acquire(3, 10, 20, RANGE_READ));
	release(0);
	CHECK_TRUE(take_granted() == &entries[1]);
	CHECK_NULL(take_granted());
	release(1);
	CHECK_TRUE(take_granted() == &entries[2]);
}

static void readers_behind_a_writer_are_granted_together(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_WRITE));
	CHECK_FALSE(acquire(1, 0, 5, RANGE_READ));
	CHECK_FALSE(acquire(2, 5, 10, RANGE_READ));
	release(0);
	CHECK_TRUE(list_is_linked(&entries[1].granted));
	CHECK_TRUE(list_is_linked(&entries[2].granted));
}

static void a_passer_overtakes_settled_holders_and_all_who_wait(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_WRITE));
	CHECK_FALSE(acquire(1, 5, 15, RANGE_READ));
	CHECK_FALSE(acquire(2, 0, 20, RANGE_WRITE));
	CHECK_FALSE(acquire(3, 16, 20, RANGE_WRITE));
	CHECK_FALSE(range_lock_pass(&lock, &entries[2]));
	entries[0].is_settled = true;
	CHECK_TRUE(range_lock_pass(&lock, &entries[2]));
	CHECK_TRUE(range_lock_is_passed(&lock, &entries[0]));
	release(0);
	CHECK_NULL(take_granted());
	release(2);
	CHECK_TRUE(list_is_linked(&entries[1].granted));
	CHECK_TRUE(list_is_linked(&entries[3].granted));
	CHECK_FALSE(range_lock_is_passed(&lock, &entries[1]));
}

static void who_gives_up_waiting_blocks_nobody(void)
{
	start();
	CHECK_TRUE(acquire(0, 0, 10, RANGE_READ));
	CHECK_FALSE(acquire(1, 0, 10, RANGE_WRITE));
	CHECK_FALSE(acquire(2, 0, 10, RANGE_READ));
	release(1);
	CHECK_TRUE(take_granted() == &entries[2]);
	release(0);
	CHECK_NULL(take_granted());
	release(2);
	CHECK_TRUE(range_lock_is_empty(&lock));
}

/* The naive lock: arrival order in `order`, and the rule asked anew each time. */
struct naive {
	struct {
		unsigned who;
		uint64_t start, end;
		bool is_write, is_held;
	} order[ENTRIES];
	unsigned count;
};

static bool naive_may_hold(const struct naive *naive, unsigned at)
{
	for (unsigned i = 0; i < at; i++) {
		if (naive->order[i].start < naive->order[at].end && naive->order[at].start < naive->order[i].end &&
		    (naive->order[i].is_write || naive->order[at].is_write))
			return false;
	}
	return true;
}

static void naive_acquire(struct naive *naive, struct check_random *random, unsigned who)
{
	unsigned at = naive->count++;

	naive->order[at].who = who;
	naive->order[at].start = check_random_below(random, 24);
	naive->order[at].end = naive->order[at].start + 1 + check_random_below(random, 8);
	naive->order[at].is_write = check_random_below(random, 2);
	naive->order[at].is_held = naive_may_hold(naive, at);
	CHECK_EQ_INT(naive->order[at].is_held, acquire(who, naive->order[at].start, naive->order[at].end,
						       naive->order[at].is_write ? RANGE_WRITE : RANGE_READ));
}

static void naive_release(struct naive *naive, unsigned at)
{
	release(naive->order[at].who);
	naive->count--;
	for (unsigned i = at; i < naive->count; i++)
		naive->order[i] = naive->order[i + 1];
	for (unsigned i = 0; i < naive->count; i++) {
		if (naive->order[i].is_held || !naive_may_hold(naive, i))
			continue;
		naive->order[i].is_held = true;
		CHECK_TRUE(list_is_linked(&entries[naive->order[i].who].granted));
		list_del(&entries[naive->order[i].who].granted);
	}
	CHECK_TRUE(list_is_empty(&granted));
}

static unsigned free_entry(const struct naive *naive)
{
	bool used[ENTRIES] = {false};
	unsigned i = 0;

	for (unsigned j = 0; j < naive->count; j++)
		used[naive->order[j].who] = true;
	while (used[i])
		i++;
	return i;
}

static void random_use_agrees_with_the_naive_lock(void)
{
	struct check_random random;
	struct naive naive = {.count = 0};

	start();
	check_random_init(&random);
	for (unsigned step = 0; step < 200000; step++) {
		unsigned at = naive.count ? (unsigned)check_random_below(&random, naive.count) : 0;

		if (naive.count < ENTRIES && check_random_below(&random, 100) < 52)
			naive_acquire(&naive, &random, free_entry(&naive));
		else if (naive.count && naive.order[at].is_held)
			naive_release(&naive, at);
	}
	/* Nobody is forgotten: releasing the held ones one after the other empties the lock. */
	while (naive.count) {
		CHECK_TRUE(naive.order[0].is_held);
		naive_release(&naive, 0);
	}
	CHECK_TRUE(range_lock_is_empty(&lock));
}

static const struct check_test tests[] = {
	CHECK_TEST(reads_share_a_range),
	CHECK_TEST(a_write_waits_for_overlapping_reads_and_writes),
	CHECK_TEST(a_read_waits_for_an_overlapping_write),
	CHECK_TEST(neighbours_do_not_wait_for_each_other),
	CHECK_TEST(a_later_reader_does_not_overtake_a_waiting_writer),
	CHECK_TEST(readers_behind_a_writer_are_granted_together),
	CHECK_TEST(a_passer_overtakes_settled_holders_and_all_who_wait),
	CHECK_TEST(who_gives_up_waiting_blocks_nobody),
	CHECK_TEST(random_use_agrees_with_the_naive_lock),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("range_lock", tests, argc, argv);

	range_lock_fini(&lock);
	return failures;
}
