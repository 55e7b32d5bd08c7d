"""By the size of a write: what zero copy brings over copying, as rows for the terminal and for the page."""
import report

ZERO_COPY, DEFAULT, GATHERED = "zero-copy, every write", "zero-copy, default", "zero-copy, gathered"
COPY, SEND = "copy mode", "copy mode, SEND only"
ORDER = (ZERO_COPY, DEFAULT, GATHERED, COPY, SEND)
GATHERED_AT = "128k"  # the largest that can be; the smaller ones are by default
DEFAULT_GATHERS = ("4k", "8k", "16k", "32k", "64k")
COLUMNS = ("size", "", "MB/s", "CPU s/GiB", "not copied", "MB/s, x copy mode", "CPU, x less than copy mode")
WANTED, WANTED_FROM = 1.3, 128 * 1024
KEYS = (("mb_s", "MB/s"), ("cpu_s_per_gib", "CPU per GiB"))


def gain(results, job, subject, other, key):
    """By how much the subject is better than the other one, round by round: more MB/s, or less CPU time."""
    if key == "mb_s":
        return results.ratio(job, subject, other, key)
    return results.ratio(job, other, subject, key)


def times(three):
    return f"{three[0]:.2f} [{three[1]:.2f}..{three[2]:.2f}]" if three else ""


def share(three):
    return f"{100 * three[0]:.0f} %" if three else "-"


def rows(document):
    results = report.Results(document["runs"])
    yield COLUMNS
    for job in results.names("job"):
        subjects = [subject for subject in ORDER if results.of(job, subject)]
        for i, subject in enumerate(subjects):
            gains = ["" if subject == COPY else times(gain(results, job, subject, COPY, key)) for key, _ in KEYS]
            yield (job if i == 0 else "", subject, report.ranged(results.figure(job, subject, "mb_s")),
                   report.ranged(results.figure(job, subject, "cpu_s_per_gib")),
                   share(results.figure(job, subject, "not_copied")), *gains)


def better_from(results, jobs, other_of, key):
    """The smallest size from which on zero copy's median is better than the other's at every size; None: there is none."""
    found = None
    for job in reversed(jobs):
        three = gain(results, job, ZERO_COPY, other_of(job), key)
        if not three or three[0] <= 1:
            break
        found = job
    return found


def conclusions(document):
    """Where zero copy begins to pay: against copy mode, and, in its own mode, against gathering small writes."""
    results = report.Results(document["runs"])
    jobs = results.names("job")
    gathered = [job for job in jobs if job in DEFAULT_GATHERS or job == GATHERED_AT]
    for what, sizes, other_of in (
            ("copy mode", jobs, lambda job: COPY),
            ("gathering (up to 128k)", gathered, lambda job: GATHERED if job == GATHERED_AT else DEFAULT)):
        for key, name in KEYS:
            size = better_from(results, sizes, other_of, key)
            yield f"Zero copy is better than {what} in {name} " + (f"from {size} on." if size else "at no size.")


def targets(document):
    results = report.Results(document["runs"])
    sizes = {run["job"]: run["bytes"] for run in document["runs"]}
    return [report.target(f"zero copy against copy mode, {name}, {job}", WANTED, gain(results, job, ZERO_COPY, COPY, key))
            for key, name in KEYS for job, size in sizes.items() if size >= WANTED_FROM]
