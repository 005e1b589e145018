"""What the agents of `scene` write to each other."""

TASKS = (
    "Summarise the open points of the quarterly review, and name an owner for each of them",
    "Compare the three offers for the new storage cluster by price per terabyte and by delivery date",
    "Draft an answer to the customer who asks why the invoice of October was sent twice",
    "Review pull request 4711: does the migration lock the table of orders?",
    "Find three sources for the claim about battery prices in the second chapter",
    "Translate the release notes into French, and keep the names of the settings",
    "Book a train from Lyon to Turin for Thursday morning, one change at most",
    "Collect the error rate of the checkout service for the last seven days, by region",
    "Explain the regression of the nightly benchmark, with the commit that caused it",
    "Prüfe die Rechnung 2026-1187 gegen den Rahmenvertrag und liste Abweichungen auf",
    "راجع ترجمة العقد وأرسل قائمة بالأخطاء",
    "Проверь счета за октябрь и составь список расхождений с договором",
    "Write unit tests for the parser of bank statements, including leap years and empty files",
    "Check which of the 214 links on the help pages are dead, and propose replacements",
)
RESULTS = (
    "Done. Seven points are open, four of them without an owner so far; the list is attached.",
    "The second offer is the cheapest by 11 %, but it is delivered three weeks later than the others.",
    "Draft is in the shared folder. I have left the paragraph about the refund to you.",
    "It takes a lock for about 40 ms on 2 M rows: safe outside of business hours.",
    "All links were checked: nine are dead, and each has a proposal.",
)
REASONS = (
    "tool `web_search` failed: HTTP 429 after {n} attempts",
    "the model refused: context of {n} tokens exceeds the limit of 200000",
    "workspace {id} is not reachable: connection timed out after {n} s",
    "no permission to read document '{id}'",
    "the answer was not valid JSON at line {n}",
)
