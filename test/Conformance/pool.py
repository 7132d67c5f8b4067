# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Judges tests in worker processes, so that a crash costs one test only."""

import multiprocessing
import signal
import time
import traceback
from multiprocessing.connection import wait

from cases import CRASH, WRONG, Outcome, judge


def serve(connection, cases, symbolic):
    """A worker: takes names, gives outcomes, until it is told None."""
    while (name := connection.recv()) is not None:
        try:
            outcome = judge(cases[name], symbolic)
        except Exception as error:
            lines = traceback.format_exception_only(error)
            outcome = Outcome(WRONG, "raised " + lines[-1].strip())
        connection.send(outcome)


class Worker:
    """One process and the test that it is at."""

    def __init__(self, cases, symbolic):
        # Forked, so that the cases, which take seconds to make, are shared. The
        # parent has never loaded the compiler and has no threads.
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, cases, symbolic), daemon=True
        )
        self.process.start()
        theirs.close()
        self.name = None

    def begin(self, name):
        self.name, self.started = name, time.monotonic()
        self.connection.send(name)

    def stop(self):
        self.process.kill()
        self.process.join()
        self.connection.close()


def end_of(process):
    """How a process that is gone has ended."""
    process.join()
    if process.exitcode is not None and process.exitcode < 0:
        return f"killed by {signal.Signals(-process.exitcode).name}"
    return f"ended with exit code {process.exitcode}"


def judge_all(cases, names, symbolic=False, workers=2, timeout=60, progress=None):
    """The outcome of each named test."""
    waiting = list(reversed(names))
    outcomes = {}
    busy = []
    while waiting or busy:
        while waiting and len(busy) < workers:
            worker = Worker(cases, symbolic)
            worker.begin(waiting.pop())
            busy.append(worker)
        ready = wait([worker.connection for worker in busy], timeout=1)
        for worker in list(busy):
            name, alive = worker.name, False
            if worker.connection in ready:
                try:
                    outcomes[name] = worker.connection.recv()
                    alive = True
                except EOFError:
                    outcomes[name] = Outcome(CRASH, end_of(worker.process))
            elif time.monotonic() - worker.started > timeout:
                outcomes[name] = Outcome(CRASH, f"still running after {timeout} s")
            else:
                continue
            if progress:
                progress(len(outcomes), len(names))
            if alive and waiting:
                worker.begin(waiting.pop())
            else:
                worker.stop()
                busy.remove(worker)
    return outcomes
