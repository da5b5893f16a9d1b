"""The checksum of event files, against TensorBoard's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from tb_numstab.store.crc32c import crc32c, masked_crc32c


def test_the_value_that_everyone_gives() -> None:
    """The check value of CRC-32C."""
    assert crc32c(b"123456789") == 0xE3069283


@given(st.binary(max_size=300) | st.integers(0, 70_000).map(lambda size: bytes(range(256)) * (size // 256)))
def test_any_data_have_the_checksum_that_tensorboard_gives_them(data: bytes) -> None:
    assert masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)
