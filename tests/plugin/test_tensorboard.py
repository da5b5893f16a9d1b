"""The plugin inside real TensorBoard processes: both loaders, a path prefix, no sampling."""

import json
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.support.tensorboard_process import tensorboard


def fetch(address: str) -> tuple[int, Message, bytes]:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize(
    ("flags", "prefix"),
    [(["--load_fast=true"], ""), (["--load_fast=false"], "/some/prefix")],
    ids=["fast loader", "python loader, path prefix"],
)
def test_the_plugin_answers(logdir: Path, tmp_path: Path, flags: Any, prefix: str) -> None:
    with tensorboard(logdir, *flags, log=tmp_path / "log.txt", path_prefix=prefix) as address:
        assert address.endswith(f"{prefix}/")
        plugin = f"{address}data/plugin/numstab/"
        listing = json.loads(fetch(f"{address}data/plugins_listing")[2])
        assert listing["numstab"]["enabled"]
        assert listing["numstab"]["tab_name"] == "Numerical health"

        runs = {run["name"]: run for run in json.loads(fetch(f"{plugin}runs")[2])["runs"]}
        assert len(runs) == 4
        for run in runs.values():
            assert run["sessions"][0]["records"] == 80, "nothing is sampled away"

        overview = json.loads(fetch(f"{plugin}overview?run=nan_softmax_log")[2])
        assert overview["verdict"]["status"] == "broken"
        assert overview["findings"][0]["op"]["op_type"] == "Log"

        status, headers, page = fetch(f"{address}data/plugin_entry.html?name=numstab")
        assert status == 200
        assert b"./static/index.js" in page
        assert fetch(f"{plugin}static/index.js")[0] == 200

        for outside in ("static/../backend.py", "static/%2e%2e/backend.py", "static/", "static/index.js/x"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                fetch(plugin + outside)


def test_a_users_own_limit_wins_and_is_told(logdir: Path, tmp_path: Path) -> None:
    with tensorboard(logdir, "--samples_per_plugin=numstab=20", log=tmp_path / "log.txt") as address:
        overview = json.loads(fetch(f"{address}data/plugin/numstab/overview?run=nan_softmax_log")[2])
    assert overview["session"]["records"] == 20
    assert any("--samples_per_plugin" in problem for problem in overview["problems"])
    # Later records repeat where it began, so even a sampled log names the step.
    assert overview["verdict"]["step"] == 57
