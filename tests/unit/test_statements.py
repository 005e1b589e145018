"""No SQL is built at run time: each statement is a constant. mypy does not check that a str is a LiteralString."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import projector
from projector.contract.facts import Reported, Verdict
from projector.domain.ends import End
from projector.domain.fold import RepeatedRequest
from projector.domain.lifecycle import Delegation, State
from projector.domain.positions import Move
from projector.postgres import write_batch

ROOT = Path(projector.__file__).parent
RUN_SQL = {"execute": 0, "executemany": 0, "copy": 0, "send": 1}
ALLOWED = {
    "migrations.py": {"migration.up", "migration.down", "recreate"},
    "outbox_inbox.py": {"statements.source", "statements.told", "statements.insert"},
    "pooler.py": {"statement"},  # DEALLOCATE takes no parameter: the server quotes the names, by format()
    "rows.py": {"*statement"},  # of the ledger: mypy holds what steps.py yields to be LiteralString
    "sweep_candidates.py": {"_OVERDUE", "_SILENT", "_NEVER_HEARD"},
    "sweep_truth.py": {"SIGNS"},
    "views_delegations.py": {"_BY_AGE", "_BY_CREATED", "_BY_DEADLINE", "_BY_SILENCE", "_COUNT"},
    "write_batch.py": {"_NOT_WRITTEN", "_FUNCTION", "_ENDS_FUNCTION", "_CALL", "_CALL_WITH_ENDS"},
}


def statements(tree: ast.Module) -> Iterator[ast.expr]:
    """The arguments of calls that run SQL, also of functions with a parameter `statement: LiteralString`."""
    positions = dict(RUN_SQL)
    parameters: set[ast.expr] = set()
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for place, argument in enumerate(function.args.args):
            if (
                argument.arg == "statement"
                and argument.annotation
                and ast.unparse(argument.annotation) == "LiteralString"
            ):
                positions[function.name] = place
                parameters |= {
                    node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == "statement"
                }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = (
            call.args[positions[name] :] or [keyword.value for keyword in call.keywords] if name in positions else []
        )
        yield from (each for each in given[:1] if each not in parameters)


def is_constant(statement: ast.expr) -> bool:
    """A text, or an f-string of nothing but constants of a module, such as a predicate that several statements have."""
    if isinstance(statement, ast.JoinedStr):
        return all(isinstance(part, ast.Constant) or is_name_of_a_constant(part) for part in statement.values)
    return isinstance(statement, ast.Constant) and isinstance(statement.value, str)


def is_name_of_a_constant(part: ast.expr) -> bool:
    return isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name) and part.value.id.isupper()


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
def test_statement_built_at_run_time_is_found(built: str) -> None:
    assert not all(map(is_constant, statements(ast.parse(built))))


def test_every_statement_is_a_constant() -> None:
    found, built = 0, []
    for file in sorted(ROOT.rglob("*.py")):
        if file.parent.name == "kafka":  # it sends requests to Kafka, and may not import psycopg
            continue
        for statement in statements(ast.parse(file.read_text())):
            found += 1
            if not is_constant(statement) and ast.unparse(statement) not in ALLOWED.get(file.name, ()):
                built.append(f"{file.relative_to(ROOT)}:{statement.lineno}: {ast.unparse(statement)}")
    assert built == []
    assert found > 40


def test_arrays_of_a_batch_have_the_columns_of_its_rows() -> None:
    """Python passes the columns by position, so their order must be that of the signature in the SQL."""
    rows = {
        "moved": Move._fields,
        "inserted": Delegation._fields,
        "updated": (*State._fields, "version"),
        "parked": ("topic", "partition", "offset", "kind", *Verdict._fields[:-1], *Reported._fields[-2:]),
        "repeated": RepeatedRequest._fields,
    }
    names = [name for name, _ in write_batch._PARAMETERS]
    for part, fields in rows.items():
        assert [name for name in names if name.startswith(f"{part}_")] == [f"{part}_{field}" for field in fields]
    assert [name for name, _ in write_batch._ENDS_PARAMETERS] == [f"end_{field}" for field in End._fields]
