"""Numbers in sentences."""


def plural(number: int, noun: str, many: str | None = None) -> str:
    """The form of the noun for this number. `many` is the plural if it is not the noun with an s."""
    return noun if number == 1 else many or f"{noun}s"


def counted(number: int, noun: str, many: str | None = None) -> str:
    """The number and the noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {plural(number, noun, many)}"
