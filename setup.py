"""Adds to pyproject.toml what it cannot say: the demos' place in the package, and the check for the tab's bundle."""

import os
import subprocess
import warnings
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
BUNDLE = ROOT / "tb_numstab" / "static" / "index.js"


class BuildWithBundle(build_py):
    """Refuses to build a wheel whose tab would be blank.

    The bundle is committed, so an installation needs no Node. ``TB_NUMSTAB_BUILD_FRONTEND=1`` builds it anew.
    """

    def run(self) -> None:
        if os.environ.get("TB_NUMSTAB_BUILD_FRONTEND") == "1":
            for command in (["npm", "ci"], ["npm", "run", "build"]):
                subprocess.run(command, cwd=ROOT / "frontend", check=True)
        if not BUNDLE.is_file():
            message = f"{BUNDLE.relative_to(ROOT)} is missing: run `make frontend`, or set TB_NUMSTAB_BUILD_FRONTEND=1"
            if not self.editable_mode:
                raise SystemExit(f"tb-numstab: {message}")
            warnings.warn(message, stacklevel=1)
        super().run()


setup(
    cmdclass={"build_py": BuildWithBundle},
    packages=[*find_namespace_packages(include=["tb_numstab*"]), "tb_numstab.demo"],
    package_dir={"tb_numstab.demo": "demo"},  # `tb-numstab demo` copies them from there
)
