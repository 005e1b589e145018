"""All mistakes."""

from mutants.guards import GUARDS
from mutants.platform import PLATFORM
from mutants.reading import READING
from mutants.rules import RULES
from mutants.statements import STATEMENTS

MUTANTS = [*RULES, *READING, *STATEMENTS, *PLATFORM, *GUARDS]
