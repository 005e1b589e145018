"""The cases of the alerts: series that make one fire, and series that nearly do."""

from typing import NamedTuple

MINUTES = 130
STEADY = f"x{MINUTES}"


class Case(NamedTuple):
    """Series → values in Prometheus' notation, None: the series is missing. Without labels: all of the name."""

    series: dict[str, str | None]
    fires: set[str]


def since(minute: int, value: float, before: float = 0) -> str:
    """A value since a minute."""
    return f"{before}x{minute} {value}x{MINUTES - minute - 1}"


def only(*alerts: str) -> set[str]:
    return set(alerts)


LATE = MINUTES - 8
CASES: dict[str, tuple[Case, Case]] = {
    "ProjectorBehind": (
        Case({"lag_seconds": since(LATE, 61)}, only("ProjectorBehind", "FreshnessBurnsFast", "FreshnessBurnsSlowly")),
        Case({"lag_seconds": since(MINUTES - 3, 61)}, only("FreshnessBurnsFast", "FreshnessBurnsSlowly")),
    ),
    "ProjectorStandsStill": (
        Case({"lag_records": since(LATE, 5), "position": f"7{STEADY}"}, only("ProjectorStandsStill")),
        Case({"lag_records": since(LATE, 5), "position": f"7+1{STEADY}"}, only()),
    ),
    "ProjectorGap": (Case({"log_gap": f"1{STEADY}"}, only("ProjectorGap")), Case({"log_gap": f"0{STEADY}"}, only())),
    "ProjectorAbsent": (
        Case(
            {"position": None, "lag_records": None, "lag_seconds": None},
            only("ProjectorAbsent", "FreshnessBurnsFast", "FreshnessBurnsSlowly"),
        ),
        Case({'position{partition="0"}': None}, only()),
    ),
    "ProjectorUnwell": (
        Case({'state{process="member 2",state="hung"}': since(LATE, 1)}, only("ProjectorUnwell")),
        Case({'state{process="member 2",state="idle"}': since(LATE, 1)}, only()),
    ),
    "FeedSilent": (
        Case({"log_idle_seconds": f"2x{LATE - 10} 601+60x17", "delegations": f"1{STEADY}"}, only("FeedSilent")),
        Case({"log_idle_seconds": f"2x{LATE - 10} 601+60x17", "delegations": f"0{STEADY}"}, only()),
    ),
    "DeadLettersGrow": (
        Case({'records_total{outcome="dead_letter"}': since(LATE, 1)}, only("DeadLettersGrow")),
        Case({'records_total{outcome="dead_letter"}': since(100, 1)}, only()),
    ),
    "ParkedOld": (
        Case({"parked_oldest_seconds": f"3601{STEADY}"}, only("ParkedOld")),
        Case({"parked_oldest_seconds": f"3599{STEADY}"}, only()),
    ),
    "SweepMissing": (
        Case({"sweep_last_pass_timestamp_seconds": f"{MINUTES * 60 - 400}{STEADY}"}, only("SweepMissing")),
        Case({"sweep_last_pass_timestamp_seconds": f"{MINUTES * 60 - 200}{STEADY}"}, only()),
    ),
    "SweepBraked": (
        Case({'sweep_skipped_total{reason="braked"}': since(LATE, 1)}, only("SweepBraked")),
        Case({'sweep_skipped_total{reason="behind"}': since(LATE, 1)}, only()),
    ),
    "SweepUnconfirmed": (
        Case({"sweep_unconfirmed_seconds": f"601{STEADY}"}, only("SweepUnconfirmed")),
        Case({"sweep_unconfirmed_seconds": f"599{STEADY}"}, only()),
    ),
    "StuckSurge": (
        Case({'sweep_verdicts_total{rule="silence"}': f"0x{MINUTES - 30} 1+1x29"}, only("StuckSurge")),
        Case({'sweep_verdicts_total{rule="deadline"}': f"0x{MINUTES - 30} 1+1x29"}, only()),
    ),
    "PushLate": (
        Case({"push_oldest_due_seconds": since(LATE, 121)}, only("PushLate")),
        Case({"push_oldest_due_seconds": since(LATE, 119)}, only()),
    ),
    "PushGivenUp": (
        Case({'push_failed_total{reason="given_up",target="inbox"}': since(LATE, 1)}, only("PushGivenUp")),
        Case({'push_failed_total{reason="retried_later",target="inbox"}': since(LATE, 1)}, only()),
    ),
    "Drift": (
        Case({"verify_drift": f"1{STEADY}"}, only("Drift")),
        Case({"verify_last_success_timestamp_seconds": f"-{35 * 3600 - MINUTES * 60}{STEADY}"}, only()),
    ),
    "FreshnessBurnsFast": (
        Case({"lag_seconds": since(MINUTES - 3, 11)}, only("FreshnessBurnsFast", "FreshnessBurnsSlowly")),
        Case({"lag_seconds": since(MINUTES - 3, 9)}, only()),
    ),
    "FreshnessBurnsSlowly": (
        Case({"lag_seconds": f"0x{MINUTES - 120} 11x4 0x94 11x2 0x18"}, only("FreshnessBurnsSlowly")),
        Case({"lag_seconds": f"0x{MINUTES - 120} 11x6 0x112"}, only()),
    ),
}
