"""A measurement in an interpreter of its own, so that none finds what another has left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def answer(module: str, *arguments: str) -> dict[str, Any]:
    """What ``python -m MODULE ARGUMENTS`` prints in its last line, as JSON.

    Raises:
      RuntimeError: it failed; the message is the end of what it said.
    """
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-2000:])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
