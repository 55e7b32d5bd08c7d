"""Starts and ends the programs a benchmark measures: each by its own pid, with its own log, never left behind."""
import os
import re
import signal
import socket
import subprocess
import time

WAIT_SECONDS = 60


class Failure(Exception):
    """Something did not work; says what, and where to look."""


def wait_until(what, holds):
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Failure(f"after {WAIT_SECONDS} s still not: {what}")
        time.sleep(0.02)


class Daemon:
    """A program that puts itself into the background: not our child, known by its pid file."""

    def __init__(self, name, pid):
        self.name = name
        self.pid = pid

    def poll(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                return 0 if file.read().rpartition(")")[2].split()[0] == "Z" else None
        except FileNotFoundError:
            return 0

    def send_signal(self, number):
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds=WAIT_SECONDS):
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.name, seconds)
            time.sleep(0.02)
        return 0


class Programs:
    """Every program started here, with a directory for logs."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, name, command, **options):
        with open(os.path.join(self.directory, name + ".log"), "ab") as log:
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stdout", log)
            program = subprocess.Popen([str(word) for word in command], stderr=log, **options)
        program.name = name
        self.running.append(program)
        return program

    def start_daemon(self, name, command, pid_file):
        """One that forks; `pid_file` is where it says its pid."""
        self.stop(self.start(name, command), None)
        wait_until(f"{name} has written {pid_file}", lambda: os.path.exists(pid_file) and os.path.getsize(pid_file))
        with open(pid_file, encoding="ascii") as file:
            daemon = Daemon(name, int(file.read()))
        self.running.append(daemon)
        return daemon

    def wait_for_port(self, program, port, address="127.0.0.1"):
        def is_there():
            if program.poll() is not None:
                raise Failure(f"{program.name} has ended: {self.log_of(program.name)[-300:]}")
            return listens(port, address)
        wait_until(f"{program.name} listens", is_there)

    def stop(self, program, how=signal.SIGTERM):
        if how and program.poll() is None:
            program.send_signal(how)
        try:
            code = program.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            program.kill()
            code = program.wait()
        if program in self.running:
            self.running.remove(program)
        return code

    def stop_all(self):
        """At the end, whatever it was: nothing is kept, so nothing needs to end in good order."""
        for program in reversed(self.running[:]):
            self.stop(program, signal.SIGKILL)

    def log_of(self, name):
        with open(os.path.join(self.directory, name + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def last_words(self):
        words = []
        for file in sorted(os.listdir(self.directory)):
            lines = self.log_of(file[:-4]).splitlines()[-5:] if file.endswith(".log") else []
            words += [f"{file}: {line}" for line in lines]
        return "\n".join(words)


def run(*command):
    """A command that must succeed; its output."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failure(f"'{' '.join(str(word) for word in command)}' ended with {done.returncode}: "
                      f"{re.sub(chr(10) + '+', '; ', (done.stderr or done.stdout).strip())}")
    return done.stdout


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listens(port, address="127.0.0.1"):
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0
