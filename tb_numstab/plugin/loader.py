"""The entry point TensorBoard imports. Whatever raises here would keep TensorBoard from starting.

So this module imports nothing but TensorBoard's own base class; the plugin itself is imported inside
load(), which TensorBoard guards.
"""

from __future__ import annotations

import argparse
import logging

from tensorboard.plugins import base_plugin

_PLUGIN_NAME = "numstab"  # schema.names.PLUGIN_NAME, which is not worth an import that could fail
_KEEP_ALL = 0


class Loader(base_plugin.TBLoader):  # type: ignore[misc]  # TensorBoard is untyped
    """Makes the plugin, and asks TensorBoard to keep all of its data."""

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Turns sampling off for our records unless the user has set a limit.

        TensorBoard keeps 10 or 100 events of a tag by default, at random: the step where the first
        NaN appeared would likely be lost.
        """
        try:
            flags.samples_per_plugin.setdefault(_PLUGIN_NAME, _KEEP_ALL)
        except Exception:  # An embedder's flags may look different; sampled data beat no TensorBoard.
            logging.getLogger(__name__).warning("numstab: sampling could not be turned off", exc_info=True)

    def load(self, context: base_plugin.TBContext) -> base_plugin.TBPlugin | None:
        """The plugin."""
        from tb_numstab.plugin.backend import NumericalHealthPlugin

        return NumericalHealthPlugin(context)
