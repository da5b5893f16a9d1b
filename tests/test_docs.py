"""The documentation is true: its snippets run, its links lead somewhere, its make targets exist."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tb_numstab.cli.main import _parser, main

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

_RUNNABLE = re.compile(r"<!-- runnable -->\n```python\n(.*?)```", re.DOTALL)
SECONDS = 300
"""A page's snippets take a tenth of it; what hangs is ended."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def snippets(page: Path) -> str:
    """The runnable snippets of a page, in order, as one program."""
    return "\n".join(_RUNNABLE.findall(page.read_text()))


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading in one."""
    broken = []
    for link in _LINK.findall(page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [p for p in PAGES if snippets(p)], ids=name)
def test_snippets_run(page: Path, tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text(snippets(page))
    run = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stderr
    # A page may show a training that goes wrong, and what is said of it; a complaint of ours is a bug.
    assert not re.search(r"tb_numstab: (?!step \d+: )", run.stderr), run.stderr


@pytest.mark.parametrize("page", [p for p in PAGES if name(p) != "docs/rules.md"], ids=name)  # those are excerpts
def test_every_snippet_is_one_that_runs(page: Path) -> None:
    text = page.read_text()
    assert text.count("```python") == len(_RUNNABLE.findall(text))


def test_the_readme_has_snippets() -> None:
    assert "tb_numstab.watch" in snippets(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n[x](b.md) [y](a.md#two) [z](#one) [w](https://example.org)\n")
    assert broken_links(tmp_path / "a.md") == ["b.md", "a.md#two"]


def quoted(page: str) -> set[str]:
    """What a page sets in code type, word by word."""
    return set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`\n]+)`", (ROOT / "docs" / page).read_text()))))


def test_every_command_and_option_is_described() -> None:
    described = quoted("command-line.md")
    (commands,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    text = (ROOT / "docs" / "command-line.md").read_text()
    for name, command in commands.choices.items():
        assert f"## tb-numstab {name}" in text
        options = {option for action in command._actions for option in action.option_strings} - {"-h", "--help"}
        assert options <= described, name


def test_every_field_of_the_json_is_described(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(logdir), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {*document, *document["runs"][0]} <= quoted("command-line.md")


def test_make_targets_that_are_mentioned_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(page.read_text() for page in PAGES)
    mentioned = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert mentioned and mentioned <= targets
