"""TensorBoard with the plugin from this checkout, installed or not: ``python -m tests.support.serve --logdir ...``."""

import sys

from tensorboard import default, program

from tb_numstab.plugin.loader import Loader


def main() -> int:
    server = program.TensorBoard(plugins=[*default.get_static_plugins(), Loader])
    server.configure(sys.argv)
    return int(server.main() or 0)


if __name__ == "__main__":
    sys.exit(main())
