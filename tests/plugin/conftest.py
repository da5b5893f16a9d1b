"""The plugin on a small log folder, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext

from tb_numstab.plugin.backend import NumericalHealthPlugin
from tb_numstab.plugin.loader import Loader
from tests.support.client import Client


@pytest.fixture(scope="session")
def context(logdir: Path) -> TBContext:
    multiplexer = EventMultiplexer(tensor_size_guidance={"numstab": 0}, size_guidance={"tensors": 0})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    return TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(logdir)), logdir=str(logdir))


@pytest.fixture(scope="session")
def plugin(context: TBContext) -> NumericalHealthPlugin:
    plugin = Loader().load(context)
    assert isinstance(plugin, NumericalHealthPlugin)
    return plugin


@pytest.fixture(scope="session")
def client(plugin: NumericalHealthPlugin) -> Client:
    return Client(plugin)
