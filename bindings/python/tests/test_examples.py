"""The examples run, and the README shows them."""

import subprocess
import sys
from pathlib import Path

import pytest

from fdfs import EmbeddedCluster

HERE = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["quickstart", "embedded"])
def test_examples(name: str, cluster: EmbeddedCluster) -> None:
    path = HERE / "examples" / f"{name}.py"
    command = [sys.executable, str(path), cluster.tracker]
    ended = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout, ended
    code = path.read_text("utf-8").split('"""\n\n', 1)[1]
    assert f"```python\n{code}```" in (HERE / "README.md").read_text("utf-8")
