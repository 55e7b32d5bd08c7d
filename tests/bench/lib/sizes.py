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


def comparisons(results):
    """[(what zero copy is held against, {size: which subject that is})]"""
    jobs = results.names("job")
    gathering = {job: DEFAULT if job in DEFAULT_GATHERS else GATHERED for job in jobs
                 if job in DEFAULT_GATHERS or job == GATHERED_AT}
    sending = {job: SEND for job in jobs if results.of(job, SEND)}
    return [("copy mode", {job: COPY for job in jobs}), ("gathering in its own mode", gathering),
            ("copy mode, SEND only", sending)]


def better_from(gains):
    """The smallest size from which on the medians say better, up to the largest; None: there is none."""
    found = None
    for job in reversed(gains):
        if gains[job][0] <= 1:
            break
        found = job
    return found


def conclusions(document):
    """Where zero copy begins to pay, and by how much it is better, size by size."""
    results = report.Results(document["runs"])
    for what, others in comparisons(results):
        for key, name in KEYS:
            gains = {job: gain(results, job, ZERO_COPY, other, key) for job, other in others.items()}
            size = better_from(gains)
            if gains:
                yield (f"Zero copy against {what}, {name}: better " + (f"from {size} on" if size else "at no size") + " (" +
                       ", ".join(f"{job} x {three[0]:.2f}" for job, three in gains.items()) + ").")


def targets(document):
    results = report.Results(document["runs"])
    sizes = {run["job"]: run["bytes"] for run in document["runs"]}
    return [report.target(f"zero copy against copy mode, {name}, {job}", WANTED, gain(results, job, ZERO_COPY, COPY, key))
            for key, name in KEYS for job, size in sizes.items() if size >= WANTED_FROM]
