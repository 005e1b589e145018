"""The examples of each command, as --help prints them. A reference page can be made of them, too."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "projector run",
        "projector run --members 4 --log-format json",
        "projector run --with-sweep --with-push --result-push inbox",
    ),
    "migrate up": ("projector migrate up",),
    "migrate down": ("projector migrate down --to 55", "projector migrate down --to 0 --yes  # removes every table"),
    "migrate status": ("projector migrate status", "projector migrate status --json"),
    "migrate recreate-shadow": ("projector migrate recreate-shadow",),
    "status": ("projector status --watch", "projector status --max-lag 1000  # for checks", "projector status --json"),
    "verify": (
        "projector verify",
        "projector verify --sample 10000 --json",
        "projector verify --from activity-logs  # instead of the topic",
    ),
    "rebuild": (
        "projector rebuild --dry-run",
        "projector rebuild",
        "projector rebuild --only 2f1c9b1e-8a66-4c0e-9a56-0f5b1c9b7a11",
    ),
    "prune": (
        "projector prune --ended-before 90d --dry-run",
        "projector prune --ended-before 90d",
        "projector prune --ended-before 365d --yes --json",
    ),
    "erase": (
        "projector erase --workspace 2f1c9b1e-8a66-4c0e-9a56-0f5b1c9b7a11 --dry-run",
        "projector erase --workspace 2f1c9b1e-8a66-4c0e-9a56-0f5b1c9b7a11",
    ),
    "explain": (
        "projector explain 2f1c9b1e  # the start of an id",
        "projector explain d-1 --legend",
        "projector explain d-1 --recording incident.jsonl.zst",
    ),
    "replay": (
        "projector replay --dry-run export.jsonl",
        "projector replay --max-dead-letters 10 january.jsonl.gz february.jsonl.gz",
        "zcat export.gz | projector replay -",
    ),
    "record": (
        "projector record --out all.jsonl.zst",
        "projector record --out incident.jsonl --from-time -1h --redact",
        "projector record --out - --delegation d-1 | jq .value",
    ),
    "dead-letters list": (
        "projector dead-letters",
        "projector dead-letters list --newer-than 1h --reason uuid",
        "projector dead-letters list --every-topic --limit 500 --json",
    ),
    "dead-letters show": (
        "projector dead-letters show 1 9815  # partition and offset",
        "projector dead-letters show 1 9815 --json",
    ),
    "dead-letters retry": (
        "projector dead-letters retry 1 9815",
        "projector dead-letters retry --reason uuid",
        "projector dead-letters retry --all",
    ),
    "dead-letters discard": (
        "projector dead-letters discard 1 9815",
        "projector dead-letters discard --older-than 90d",
        "projector dead-letters discard --all --yes",
    ),
    "parked list": ("projector parked", "projector parked list --delegation d-1", "projector parked list --json"),
    "parked discard": (
        "projector parked discard d-1 d-2",
        "projector parked discard --older-than 30d",
        "projector parked discard --repeated --yes",
    ),
    "deleted list": ("projector deleted", "projector deleted list --limit 500 --json"),
    "deleted restore": ("projector deleted restore d-1", "projector deleted restore --all"),
    "deleted discard": ("projector deleted discard d-1", "projector deleted discard --all --yes"),
    "push run": (
        "projector push run --result-push inbox",
        "projector push run --once --json",
        "projector push run --result-push topic --push-topic delegation-results",
    ),
    "push list": (
        "projector push",
        "projector push list --state given_up --older-than 1h",
        "projector push list --json",
    ),
    "push show": ("projector push show d-1", "projector push show d-1 --json"),
    "push retry": ("projector push retry d-1", "projector push retry --state given_up"),
    "push discard": ("projector push discard d-1", "projector push discard --state expired --yes"),
    "push missing": ("projector push missing", "projector push missing --send", "projector push missing d-1 --json"),
    "push prune": ("projector push prune", "projector push prune --older-than 180d"),
    "sweep": (
        "projector sweep --dry-run",
        "projector sweep --once --json",
        "projector sweep --stuck-after-seconds 900",
    ),
    "dashboard": (
        "projector dashboard --login-link",
        "projector dashboard --dashboard-address 0.0.0.0:8080",
        "projector dashboard --dashboard-texts hide",
    ),
    "doctor": ("projector doctor", "projector doctor --json", "projector doctor --topic orders"),
    "config": ("projector config", "projector config --json", "projector --topic orders config"),
    "health": ("projector health", "projector health --health-file /tmp/projector/health"),
    "completion": (
        'eval "$(projector completion bash)"  # in ~/.bashrc',
        'eval "$(projector completion zsh)"  # in ~/.zshrc, after compinit',
        "projector completion fish | source  # in ~/.config/fish/config.fish",
    ),
    "init": (
        "projector init",
        "projector init --database-url postgresql://projector_run@db/platform",
        "projector init --bootstrap-servers kafka-1:9092 --into deploy --yes",
    ),
}
