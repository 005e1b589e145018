"""docs/ledger.md and its examples."""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = (Path(__file__).parents[1] / "docs" / "ledger.md").read_text()


class Example(NamedTuple):
    """The code of a block, and what the page says that it prints."""

    code: str
    printed: str


def _examples() -> dict[str, Example]:
    found = dict[str, Example]()
    for section in re.split(r"^##+ ", PAGE, flags=re.MULTILINE):
        for number, part in enumerate(section.split("```python\n")[1:], 1):
            code, _, rest = part.partition("```\n")
            (printed,) = re.findall(r"^This prints:\n\n```\n(.*?)```", rest, re.MULTILINE | re.DOTALL)
            found[f"{section.splitlines()[0]} {number}"] = Example(code, printed)
    return found


EXAMPLES = _examples()
