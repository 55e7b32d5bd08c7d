"""A load: what is done, in what size, how many at a time."""
import collections

Job = collections.namedtuple("Job", "name kind bytes depth")

KIB = 1024


def size_name(count):
    return f"{count // (KIB * KIB)}M" if count % (KIB * KIB) == 0 else f"{count // KIB}k"


def job(kind, count, depth):
    words = {"randwrite": "random write", "randread": "random read", "write": "write", "read": "read"}
    return Job(f"{size_name(count)} {words[kind]}, depth {depth}", kind, count, depth)


SMALL_WRITE = job("randwrite", 4 * KIB, 32)
BULK_WRITE = job("write", 512 * KIB, 8)
COMPARED = [
    SMALL_WRITE,
    job("randwrite", 4 * KIB, 1),
    job("randread", 4 * KIB, 32),
    job("randread", 4 * KIB, 1),
    job("randwrite", 64 * KIB, 16),
    job("randread", 64 * KIB, 16),
    BULK_WRITE,
    job("read", 512 * KIB, 8),
    job("write", 1024 * KIB, 8),
    job("read", 1024 * KIB, 8),
]
