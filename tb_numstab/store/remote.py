"""Log folders behind a ``scheme://``, through the file systems TensorBoard itself reads.

These are S3 where boto3 is installed, whatever fsspec knows where that is, and whatever TensorFlow
knows where that is. TensorFlow takes seconds to import, so it is asked last.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorboard.compat import tf
from tensorboard.compat.tensorflow_stub.io import gfile


def is_remote(path: str) -> bool:
    """Whether a path names its file system."""
    return "://" in path


def walk(folder: str) -> Iterator[tuple[str, list[str]]]:
    """(folder, file names) for a folder and every folder below it.

    Raises:
      FileNotFoundError: no such folder.
      OSError: the file system is unknown or fails.
    """
    with _as_os_errors(folder):
        files = _files(folder)
        if not files.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, "no such folder", folder)
        found = [(below, names) for below, _, names in files.walk(folder)]
    yield from found


class RemoteFile:
    """A file opened for reading from a position on; file systems that cannot seek read up to there."""

    def __init__(self, path: str, position: int = 0) -> None:
        self._path = path
        with _as_os_errors(path):
            self._file = _files(path).GFile(path, "rb")
        if position:
            self.read(position)

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes.

        Raises:
          OSError: the file system fails.
        """
        with _as_os_errors(self._path):
            data: bytes = self._file.read(size)
        return data

    def __enter__(self) -> RemoteFile:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()


def _files(path: str) -> Any:
    """The gfile module that knows a path's scheme.

    Raises:
      Exception: none does; of any class.
    """
    try:
        gfile.get_filesystem(path)
    except Exception:
        # Without TensorFlow, tf is TensorBoard's own stand-in, which has no such function.
        schemes: list[str] = getattr(tf.io.gfile, "get_registered_schemes", list)()
        if path.partition("://")[0] not in schemes:
            raise
        return tf.io.gfile
    return gfile


@contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Whatever a file system's library raises, as the OSError a local file would give."""
    try:
        yield
    except OSError:
        raise
    # boto3, fsspec's many back ends and TensorBoard's wrappers share no base class.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise OSError(f"{path}: {reason}") from error
