import argparse
import ast
import inspect
import logging
from typing import Any

import pytest

from tb_numstab.plugin import loader
from tb_numstab.schema.names import PLUGIN_NAME


def fixed(**flags: Any) -> argparse.Namespace:
    namespace = argparse.Namespace(**flags)
    loader.Loader().fix_flags(namespace)
    return namespace


def test_sampling_is_off_unless_the_user_set_a_limit() -> None:
    assert fixed(samples_per_plugin={}).samples_per_plugin == {PLUGIN_NAME: 0}
    assert fixed(samples_per_plugin={PLUGIN_NAME: 50}).samples_per_plugin == {PLUGIN_NAME: 50}
    assert fixed(samples_per_plugin={"images": 3}).samples_per_plugin == {"images": 3, PLUGIN_NAME: 0}


@pytest.mark.parametrize("flags", [{}, {"samples_per_plugin": None}, {"samples_per_plugin": "numstab=1"}])
def test_unusual_flags_do_not_stop_tensorboard(flags: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fixed(**flags)
    assert "sampling could not be turned off" in caplog.text


def test_the_entry_point_imports_nothing_that_could_fail() -> None:
    modules = [
        node for node in ast.parse(inspect.getsource(loader)).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {getattr(node, "module", None) or node.names[0].name for node in modules}
    assert names == {"__future__", "argparse", "logging", "tensorboard.plugins"}
