"""The page of tools: what it shows can be done."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.harness.core.judged import judged
from wardwright.harness.core.tool import Tools
from wardwright.harness.tools.built_in import BUILT_IN
from wardwright.testing.hands import World
from wardwright.testing.tool_calls import call

PAGE = (Path(__file__).parents[2] / "docs/tools.md").read_text()


def test_every_contract_on_the_page_is_right() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        gathered = gather(decode(block.encode(), "tools.yaml"))
        assert gathered.tools
        assert judged(gathered.tools, Tools(BUILT_IN)) == ()


def test_the_tool_on_the_page_counts() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    module = ModuleType("page_of_tools")
    exec(block, module.__dict__)
    world = World()
    world.write("/srv/a", b"one\ntwo\n")
    assert call(module.COUNT, world, path="/srv/a").lines == 2


def test_every_tool_has_its_heading() -> None:
    for tool in BUILT_IN:
        assert f"\n### {tool.name}\n" in PAGE
