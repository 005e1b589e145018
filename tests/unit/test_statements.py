"""No SQL is built: what a statement says stands in the source, and mypy does not see when it does not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import projector

ROOT = Path(projector.__file__).parent
ASKS = {"execute": 0, "executemany": 0, "copy": 0, "send": 1}
FROM_FILES = {"migrations.py": {"migration.up", "migration.down"}, "write_batch.py": {"_FUNCTION", "_CALL"}}


def statements(tree: ast.Module) -> Iterator[ast.expr]:
    """What is given to the database; where that is a parameter `statement: LiteralString`, what the callers give."""
    promised = dict(ASKS)
    kept: set[ast.expr] = set()
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for place, argument in enumerate(function.args.args):
            if (
                argument.arg == "statement"
                and argument.annotation
                and ast.unparse(argument.annotation) == "LiteralString"
            ):
                promised[function.name] = place
                kept |= {node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == "statement"}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = call.args[promised[name] :] or [keyword.value for keyword in call.keywords] if name in promised else []
        yield from (each for each in given[:1] if each not in kept)


def is_constant(statement: ast.expr) -> bool:
    return isinstance(statement, ast.Constant) and isinstance(statement.value, str)


@pytest.mark.parametrize(
    "built",
    [
        'conn.execute(f"SELECT {column} FROM delegations")',
        'conn.execute("SELECT %s" % column)',
        'conn.execute("SELECT {}".format(column))',
        'conn.execute("SELECT " + column)',
        "conn.cursor().executemany(text, rows)",
        "conn.execute(query=text)",
        'send(conn, f"SELECT {column}", types, values)',
        'def put(conn, statement: LiteralString):\n cursor.copy(statement)\nput(conn, "COPY " + table)',
        "def put(conn, statement: str):\n cursor.copy(statement)",
    ],
)
def test_a_built_statement_is_noticed(built: str) -> None:
    assert not all(map(is_constant, statements(ast.parse(built))))


def test_every_statement_is_a_constant_in_the_source_or_a_file_of_it() -> None:
    found, built = 0, []
    for file in sorted(ROOT.rglob("*.py")):
        for statement in statements(ast.parse(file.read_text())):
            found += 1
            if not is_constant(statement) and ast.unparse(statement) not in FROM_FILES.get(file.name, ()):
                built.append(f"{file.relative_to(ROOT)}:{statement.lineno}: {ast.unparse(statement)}")
    assert built == []
    assert found > 40
