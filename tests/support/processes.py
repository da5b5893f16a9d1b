"""tb-numstab in a process of its own."""

from __future__ import annotations

import sys

# A shell that runs the tests in the background has SIGINT ignored, by children too; a terminal's Ctrl-C is not.
LAUNCH = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from tb_numstab.cli.main import main; sys.exit(main(sys.argv[1:]))",
]
