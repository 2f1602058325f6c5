"""The cluster's processes, where they are this machine's: what no API can do to them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import shared
from .cluster import Object


def processes(pod: Object) -> list[int]:
    """The first process of each of the pod's containers but the pause; none where the node is another machine."""
    uid, found = pod["metadata"]["uid"], []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            groups, name = (folder / "cgroup").read_text(), (folder / "comm").read_text().strip()
        except OSError:
            continue  # it has ended, or is not ours to see
        if f"pod{uid}" in groups.replace("_", "-") and name != "pause":
            found.append(int(folder.name))
    return found


def visible(pod: Object) -> bool:
    return os.geteuid() == 0 and bool(processes(pod))


def sigkill(pod: Object) -> None:
    """The pod's processes are gone, without a word."""
    shared.check_pod(pod)
    for process in processes(pod):
        os.kill(process, signal.SIGKILL)


def restarts(pod: Object) -> int:
    """How often its containers were started again."""
    return sum(c["restartCount"] for c in pod["status"].get("containerStatuses", []))


@contextmanager
def stopped(pod: Object) -> Iterator[None]:
    """The pod's processes stand still: they neither work nor say goodbye."""
    shared.check_pod(pod)
    standing = processes(pod)
    for process in standing:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in standing:
            with suppress(ProcessLookupError):  # the kubelet has ended it for not answering
                os.kill(process, signal.SIGCONT)
