"""The ledger is light to import: a service that uses it loads psycopg and no other dependency of the projector."""

import subprocess
import sys

OTHER_DEPENDENCIES = {"click", "kafka", "msgspec", "pydantic", "pydantic_core", "rich", "zstandard"}
PRINT_PACKAGES = """
import sys, projector.ledger.audit, projector.ledger.aio.audit
print(*{name.partition('.')[0] for name in sys.modules})
"""


def test_ledger_imports_psycopg_and_no_other_dependency() -> None:
    done = subprocess.run([sys.executable, "-c", PRINT_PACKAGES], capture_output=True, text=True, check=True)
    packages = set(done.stdout.split())
    assert "psycopg" in packages
    assert packages & OTHER_DEPENDENCIES == set()
