"""A report: one HTML file that opens from disk, without a network and without a server."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib import resources

from tb_numstab.report.answers import Progress, answers
from tb_numstab.store.run_data import RunData


class BundleMissingError(RuntimeError):
    """The built frontend is not installed."""


def build_report(runs: Sequence[RunData], title: str, progress: Progress | None = None) -> str:
    """The whole file.

    Args:
      runs: runs with at least one record.
      title: of the page, plain text.
      progress: told about each page of the report.

    Raises:
      BundleMissingError: the installation lacks the frontend.
    """
    script, style, licenses = (_static(name) for name in ("index.js", "style.css", "licenses.txt"))
    script, style = script.replace("</script", "<\\/script"), style.replace("</style", "<\\/style")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Names in a log come from elsewhere: only the one script below may run, and nothing may be fetched.
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<noscript>This report needs JavaScript.</noscript>
<script type="text/plain">{licenses.replace("</script", "")}</script>
<script type="text/plain" id="numstab-data">{answers(runs, progress).packed()}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _static(name: str) -> str:
    file = resources.files("tb_numstab").joinpath("static", name)
    if not file.is_file():
        raise BundleMissingError(f"this installation lacks static/{name}: reinstall tb-numstab, or run make frontend")
    return file.read_text(encoding="utf-8")
