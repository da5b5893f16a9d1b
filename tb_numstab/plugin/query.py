"""Query parameters, strictly: what is misspelt or malformed is an error, never a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping

_INTEGER = re.compile(r"-?[0-9]{1,18}")
MAX_TEXT = 4096
"""Longest text parameter; op names stay far below it."""


class BadQuery(ValueError):
    """A query that cannot be answered; the message says why and is fit to show."""


class Query:
    """The parameters of one request.

    Args:
      given: values by parameter name, as they stood in the URL.
      allowed: names of the parameters the route has.

    Raises:
      BadQuery: a parameter the route does not have, or one given twice.
    """

    def __init__(self, given: Mapping[str, list[str]], allowed: tuple[str, ...]):
        for name, values in given.items():
            if name not in allowed:
                raise BadQuery(f'There is no parameter "{name[:80]}" here; there are: {", ".join(allowed) or "none"}.')
            if len(values) != 1:
                raise BadQuery(f'Parameter "{name}" is given {len(values)} times.')
        self._values = {name: values[0] for name, values in given.items()}

    def text(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.optional_text(name)
        if value is None:
            raise BadQuery(f'Parameter "{name}" is missing.')
        return value

    def optional_text(self, name: str) -> str | None:
        """A parameter, or None where it is absent or empty."""
        value = self._values.get(name) or None
        if value is not None and len(value) > MAX_TEXT:
            raise BadQuery(f'Parameter "{name}" is longer than {MAX_TEXT} characters.')
        return value

    def optional_integer(self, name: str) -> int | None:
        """An integer parameter, or None where it is absent or empty."""
        value = self.optional_text(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            raise BadQuery(f'Parameter "{name}" must be an integer, not "{value[:40]}".')
        return int(value)

    def optional_range(self, first: str, last: str) -> tuple[int, int] | None:
        """A half-open range given by two parameters, or None where both are absent."""
        low, high = self.optional_integer(first), self.optional_integer(last)
        if low is None and high is None:
            return None
        if low is None or high is None or low >= high:
            raise BadQuery(f'"{first}" and "{last}" must be given together, the first below the second.')
        return low, high
