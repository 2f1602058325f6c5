"""kubectl, as a user has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import yaml

from . import shared
from .waiting import PATIENCE


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self) -> None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.cache = Path(os.environ.get("NEMESIS_CACHE") or home / "nemesis")
        self.kubeconfig = os.environ.get("KUBECONFIG") or str(self.cache / "cluster" / "kubeconfig")
        self.program = os.environ.get("NEMESIS_KUBECTL") or self._find(self.cache)
        self.environment = {**os.environ, "KUBECONFIG": self.kubeconfig}

    @staticmethod
    def _find(cache: Path) -> str:
        own = shutil.which("kubectl", path=str(cache / "bin"))
        found = own or shutil.which("kubectl")
        if not found:
            raise FileNotFoundError("kubectl is neither in PATH nor in the cache; NEMESIS_KUBECTL may name it")
        return found

    def run(self, *args: str, stdin: str | None = None, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Runs kubectl, whatever its outcome."""
        shared.check_kubectl(args, stdin)
        return subprocess.run(
            [self.program, *args], input=stdin, capture_output=True, text=True, timeout=timeout, env=self.environment, check=False
        )

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = PATIENCE) -> str:
        """Runs kubectl and returns what it printed; the test fails when kubectl does."""
        done = self.run(*args, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(args)} ended with {done.returncode}: {done.stderr.strip()}"
        return done.stdout

    def apply(self, *objects: dict) -> subprocess.CompletedProcess[str]:
        """Applies objects as a user would, and returns the outcome."""
        return self.run("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def start(self, *args: str) -> tuple[subprocess.Popen[str], str]:
        """Starts a kubectl that runs on, and returns it with the first line that it printed."""
        process = subprocess.Popen([self.program, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment)
        assert process.stdout is not None
        first = process.stdout.readline()
        # A pipe that nobody reads would stop it after 64 KiB.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return process, first
