"""The types: they are what the module has, and what uses it passes the strictest check."""

import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY


def mypy(program: str, *arguments: str) -> None:
    asked = [sys.executable, "-m", program, *arguments]
    done = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_are_what_the_module_has() -> None:
    mypy("mypy.stubtest", "reverse_sync")


def test_tests_and_examples_pass_the_strict_check(tmp_path: Path) -> None:
    config = "python/tests/mypy.ini"
    mypy("mypy", "--strict", "--config-file", config, "--cache-dir", str(tmp_path), "python/tests", "examples/python")
