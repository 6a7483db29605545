"""The page about the module: its programs are run, and print what it says."""

import contextlib
import io
import re
import shutil
from pathlib import Path

from conftest import REPOSITORY, Start

PAGE = REPOSITORY / "docs/python.md"


def test_the_page_shows_what_its_programs_print(start: Start, tmp_path: Path) -> None:
    crm = start(100)
    shutil.copytree(REPOSITORY / "examples/contacts/golden", tmp_path / "golden")
    # The id of a plan is a digest that the address of the CRM and the plugin are part of.
    hidden = re.compile(r"(plan|run)_[0-9a-f]{12,}(_\d+)?")
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) > 8
    names: dict[str, object] = {}
    printed = ""
    for kind, block in blocks:
        if kind == "text":
            assert hidden.sub("…", block.strip()) == hidden.sub("…", printed.strip())
            continue
        here = block.replace('"provider": "hubspot",', f'"provider": "hubspot", "base_url": "{crm.base_url}",')
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(here, names)
        printed = out.getvalue()
