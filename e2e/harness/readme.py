"""The README's own commands, so that what it shows stays true."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from .waiting import PATIENCE

README = Path(__file__).resolve().parents[2] / "README.md"
MARK = "<!-- not run: as a whole; e2e/harness/readme.py runs the commands of this block"


class Readme:
    """The marked block: what stands before the first comment, then one command under each.

    `replaced` are texts that must differ from the README's, such as a route that others have too.
    """

    def __init__(self, replaced: dict[str, str]) -> None:
        block = re.search(re.escape(MARK) + r"[^\n]*-->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
        assert block, f"{README} has no block under {MARK!r}"
        text = block[1]
        for old, new in replaced.items():
            assert old in text, f"{old!r} is not in the README's block"
            text = text.replace(old, new)
        self._head, *parts = re.split(r"^# ", text, flags=re.MULTILINE)
        self.commands = {comment.strip(): command for comment, command in (p.split("\n", 1) for p in parts)}

    def spec(self, comment: str) -> dict[str, Any]:
        """The part of spec that a command sends."""
        body = re.search(r"-d '(\{.*\})'", self.commands[comment], re.DOTALL)
        assert body, self.commands[comment]
        return json.loads(body[1])["spec"]

    def change(self, comment: str, spec: dict[str, Any]) -> None:
        """Has a command send another part of spec."""
        body = json.dumps({"spec": spec})
        self.commands[comment] = re.sub(r"-d '(\{.*\})'", lambda _: f"-d '{body}'", self.commands[comment], flags=re.DOTALL)

    def run(self, comment: str, **variables: str) -> Any:
        """Runs a command as a person would who copied it, with curl refusing to hide a refusal; returns what it printed."""
        # --fail-with-body only changes curl's exit code, and -sS takes the progress bar away.
        script = 'set -euo pipefail\ncurl() { command curl -sS --fail-with-body "$@"; }\n' + self._head + self.commands[comment]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **variables}
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
        assert done.returncode == 0, f"{comment}\n{self.commands[comment]}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)
