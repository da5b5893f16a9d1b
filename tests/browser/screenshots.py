"""Takes the pictures of the documentation: ``make pictures``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.browser.tab import Tab
from tests.support.chromium import chromium
from tests.support.tensorboard_process import tensorboard


@dataclass(frozen=True)
class Picture:
    """One picture: what the link shows, in which theme and how large."""

    state: Mapping[str, object]
    theme: str = "light"
    width: int = 1280
    height: int = 960


OVERFLOW = dict(run="float16/overflow", op="MatMul_4:0")

PICTURES = {
    "overview": Picture(dict(run="nan_softmax"), height=968),
    "overview-dark": Picture(dict(run="nan_softmax"), theme="dark", height=968),
    "op": Picture(OVERFLOW, height=1010),
    "op-dark": Picture(OVERFLOW, theme="dark", height=1010),
    "health-map": Picture(dict(run="float16/overflow", view="map")),
    "scales": Picture(dict(run="lost_updates/bfloat16", view="interactions"), height=500),
    "layers": Picture(dict(run="healthy", view="layers"), theme="dark", height=1170),
    "compare": Picture(dict(run="lost_updates/bfloat16", view="compare", against="lost_updates/float32"), height=530),
    "narrow": Picture(dict(run="nan_softmax", op="Log:0"), width=390, height=900),
}


def main(logdir: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with tensorboard(logdir, log=Path(folder) / "log.txt") as address:
            tab = Tab(browser.new_page(), address)
            for name, picture in PICTURES.items():
                tab.page.set_viewport_size({"width": picture.width, "height": picture.height})
                tab.open(**picture.state)
                tab.page.evaluate(
                    "(dark) => document.body.classList.toggle('dark-mode', dark)", picture.theme == "dark"
                )
                tab.page.wait_for_load_state("networkidle")
                tab.page.wait_for_timeout(300)
                tab.page.screenshot(path=out / f"{name}.png")
                print(out / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
