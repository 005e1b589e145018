"""`projector rebuild`: writes what differs between the view and its source, while the view is in use."""

import json
from collections.abc import Sequence

from projector.cli.exit_codes import DONE
from projector.cli.output import confirm
from projector.cli.reconcile import compare, print_report, report_json
from projector.errors import Misconfigured
from projector.ledger.validation import identifier
from projector.rebuild.comparison import Options
from projector.rebuild.reconcile import Result
from projector.settings import Settings


def rebuild(
    settings: Settings,
    source: Sequence[str],
    dry_run: bool,
    only: Sequence[str],
    drop_uncovered: bool,
    yes: bool,
    json_output: bool,
) -> int:
    """Rebuild, and print what was written."""
    options = Options(
        repair=not dry_run, confirmed=yes, only=frozenset(map(_checked_id, only)), drop_uncovered=drop_uncovered
    )
    if options.repair and drop_uncovered and not yes:
        confirm("delete all rows whose history the source does not hold, for good", refusal=Misconfigured)
    result = compare(settings, source, options)
    if json_output:
        print(json.dumps({**report_json(result.report), "written": result.applied and result.applied._asdict()}))
    else:
        print_report(result.report)
        print(_conclusion(result, "the selection" if only else "the view"))
    return DONE


def _checked_id(text: str) -> str:
    """A delegation's id, if the rules of events accept it."""
    try:
        return identifier(text)
    except ValueError as error:
        raise Misconfigured(f"--only: {error}") from None


def _conclusion(result: Result, selected: str) -> str:
    report = result.report
    if report.empty:
        return "there is nothing to rebuild from: the source is empty"
    if not report.drift:
        return f"{selected} equals the source: nothing to write"
    if result.applied is None:
        return f"{report.drift:,} delegations would be written; nothing was written, because of --dry-run"
    inserted, updated, deleted = result.applied
    return f"{selected} equals the source now: {inserted:,} rows inserted, {updated:,} updated, {deleted:,} deleted"
