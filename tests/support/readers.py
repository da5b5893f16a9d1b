"""The ways to read a log folder: TensorBoard's Rust server, its Python loader, the event files."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

from tensorboard.backend.event_processing.data_ingester import LocalDataIngester
from tensorboard.context import RequestContext
from tensorboard.data.provider import DataProvider, RunTagFilter
from tensorboard.data.server_ingester import SubprocessServerDataIngester, get_server_binary
from tensorboard.util.grpc_util import ChannelCredsType

from tb_numstab.schema.names import PLUGIN_NAME
from tb_numstab.store.event_files import read_runs
from tb_numstab.store.provider import ProviderReader
from tb_numstab.store.run_data import RunData

KEEP_ALL = 0

CONTEXT = RequestContext()


def only_run(logdir: Path) -> RunData:
    """The one run of a log folder, from its event files."""
    runs = read_runs(str(logdir))
    assert len(runs) == 1
    return runs[0]


def provided_runs(provider: DataProvider) -> list[RunData]:
    """Every run behind a data provider, asked for as the tab asks: first the list, then one by one."""
    reader = ProviderReader(provider)
    return [reader.run(CONTEXT, "", listed.name) for listed in reader.summaries(CONTEXT, "")]


def rust_provider(logdir: Path, samples: int | None = KEEP_ALL) -> DataProvider:
    """What ``tensorboard --load_fast=true`` reads through; returns once the folder is loaded.

    Args:
      logdir: the folder.
      samples: events kept per tag; None for TensorBoard's default.
    """
    ingester = SubprocessServerDataIngester(
        get_server_binary(),
        str(logdir),
        reload_interval=1,
        channel_creds_type=ChannelCredsType.LOCAL,
        samples_per_plugin={} if samples is None else {PLUGIN_NAME: samples},
    )
    ingester.start()
    return _loaded(ingester.data_provider)


def python_provider(logdir: Path, samples: int | None = KEEP_ALL) -> DataProvider:
    """What ``tensorboard --load_fast=false`` reads through, loaded once; see rust_provider."""
    ingester = LocalDataIngester(
        SimpleNamespace(
            logdir=str(logdir),
            logdir_spec="",
            samples_per_plugin={} if samples is None else {PLUGIN_NAME: samples},
            purge_orphaned_data=True,
            max_reload_threads=1,
            reload_multifile=False,
            reload_multifile_inactive_secs=0,
            detect_file_replacement=False,
            reload_interval=0,
            reload_task="blocking",
        )
    )
    ingester.start()
    return ingester.data_provider


class CountingProvider:
    """Passes calls on and notes which tags are read."""

    def __init__(self, provider: DataProvider) -> None:
        self.behind = provider
        self.read: list[str] = []

    def list_tensors(self, context: RequestContext, **options: object) -> object:
        return self.behind.list_tensors(context, **options)

    def read_tensors(self, context: RequestContext, *, run_tag_filter: RunTagFilter, **options: object) -> object:
        self.read += run_tag_filter.tags
        return self.behind.read_tensors(context, run_tag_filter=run_tag_filter, **options)


PROVIDERS = {"rust": rust_provider, "python": python_provider}


def _loaded(provider: DataProvider, seconds: float = 60.0) -> DataProvider:
    """Waits until what the server lists has stood still: it answers while it still loads."""
    before, deadline = None, time.monotonic() + seconds
    while time.monotonic() < deadline:
        runs = provider.list_tensors(CONTEXT, experiment_id="", plugin_name=PLUGIN_NAME)
        now = {(run, tag): series.max_step for run, tags in runs.items() for tag, series in tags.items()}
        if now and now == before:
            return provider
        before = now
        time.sleep(0.1)
    raise TimeoutError("the data server found nothing to load")
