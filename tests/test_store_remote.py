"""Log folders behind a scheme://, here a file system that keeps its files in a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.compat.tensorflow_stub.io import gfile

from tb_numstab.cli.main import main
from tb_numstab.store.event_files import LogFolder, read_runs
from tests.support.runs import SyntheticRun
from tests.support.synthetic import Recorder


class FolderFileSystem(gfile.LocalFileSystem):  # type: ignore[misc]
    """``test://name`` is the file ``root/name``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken = False

    def _local(self, path: str | bytes) -> str:
        if self.broken:
            raise RuntimeError("the network is down")
        return str(self.root / (path.decode() if isinstance(path, bytes) else path).removeprefix("test://"))

    def isdir(self, dirname: str | bytes) -> bool:
        return super().isdir(self._local(dirname))  # type: ignore[no-any-return]

    def listdir(self, dirname: str | bytes) -> list[str]:
        return super().listdir(self._local(dirname))  # type: ignore[no-any-return]

    def read(self, filename: str | bytes, *rest: object, **more: object) -> object:
        return super().read(self._local(filename), *rest, **more)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[FolderFileSystem]:
    system = FolderFileSystem(tmp_path)
    gfile.register_filesystem("test", system)
    yield system
    del gfile._REGISTERED_FILESYSTEMS["test"]


def test_remote_folder_reads_like_a_local_one(remote: FolderFileSystem, small: SyntheticRun, tmp_path: Path) -> None:
    for name in ("logs/a", "logs/b/c"):
        small.write(tmp_path / name)
    runs = read_runs("test://logs")
    assert [run.name for run in runs] == ["a", "b/c"]
    assert runs == read_runs(str(tmp_path / "logs"))


def test_remote_folder_is_read_on_from_where_it_ended(
    remote: FolderFileSystem, small: SyntheticRun, tmp_path: Path
) -> None:
    with Recorder(tmp_path / "logs") as recorder:
        recorder.ops(small.sites).step(small.records[0]).flush()
        folder = LogFolder("test://logs")
        assert folder.read()[0].sessions[0].steps == [0]
        recorder.step(small.records[1])
    assert folder.read()[0].sessions[0].steps == [0, 1]


def test_remote_folder_that_is_not_there(remote: FolderFileSystem) -> None:
    with pytest.raises(FileNotFoundError):
        read_runs("test://missing")


def test_failing_file_system_is_a_message(remote: FolderFileSystem, capsys: pytest.CaptureFixture[str]) -> None:
    remote.broken = True
    assert main(["check", "test://logs"]) == 2
    assert "could not be read: test://logs: RuntimeError: the network is down" in capsys.readouterr().err


def test_a_file_system_of_tensorflow_alone(small: SyntheticRun, tmp_path: Path) -> None:
    """As gs:// is without fsspec; ram:// keeps its files in this process."""
    small.write(tmp_path)
    tf.io.gfile.makedirs("ram://numstab/run")
    for path in tmp_path.iterdir():
        tf.io.gfile.GFile(f"ram://numstab/run/{path.name}", "wb").write(path.read_bytes())
    (run,) = read_runs("ram://numstab")
    assert (run.name, run.sessions) == ("run", read_runs(str(tmp_path))[0].sessions)


def test_unknown_scheme_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere://logs"]) == 2
    assert "No recognized filesystem for prefix nowhere" in capsys.readouterr().err
