"""Callers whose inbox refuses every reply: they are given up or tried again later, and delay nobody."""

from typing import LiteralString

from cluster import wait_until
from repetitions import Repetition
from stage import PUSH, Stage

from testbed.workload.acting import answers, loses_its_caller

POISON: LiteralString = """
    CREATE TABLE public.poison (workspace_id uuid PRIMARY KEY, code text);
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        refusal text := (SELECT code FROM public.poison p WHERE p.workspace_id = NEW.workspace_id);
    BEGIN
        IF refusal IS NOT NULL THEN
            RAISE 'this inbox is poison' USING ERRCODE = refusal;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON activity_logs
        FOR EACH ROW WHEN (NEW.activity_type = 'a2a_receive') EXECUTE FUNCTION public.refuse()
"""
GIVEN_UP = ("23514", "22023", "22P02")
LATER = ("P0001", "XX000", "55000")


def test_poison_recipients_delay_nobody(stage: Stage, repetition: Repetition) -> None:
    count = repetition.pick(200, 1_000)
    stage.switch_on()
    with stage.connect() as conn:
        conn.execute(POISON)
    deleted = stage.play(loses_its_caller, 2, own_caller=True)
    poison = {}
    for code in (*GIVEN_UP, *LATER):  # before the others, so that they are due before them
        [refusing] = stage.platform.play(answers, own_caller=True)
        stage.query("INSERT INTO public.poison VALUES (%s, %s) RETURNING code", refusing.caller, code)
        poison[code] = refusing.id
    others = stage.play(answers, count)
    stage.settle()
    wait_until(lambda: not_yet_due(stage) == 0 and stage.due() == count + 8, "every reply is due")

    counts = stage.last_line("push", "run", "--once", "--json", **PUSH)
    expected = {"sent": count, "told_by_platform": 0, "given_up": 5, "expired": 0, "retried_later": 3}
    assert expected.items() <= counts.items(), counts
    rows = stage.query("SELECT delegation_id, ended_as, attempts, last_error FROM projector.outbox")
    states = {row[0]: row[1:] for row in rows}
    assert {states[each][0] for each in others} == {"sent"}
    given_up = deleted | {poison[code] for code in GIVEN_UP}
    assert {each for each, state in states.items() if state[0] == "given_up"} == given_up
    assert all(states[each][2] for each in given_up), "each has its reason"
    for code in LATER:
        assert states[poison[code]][:2] == (None, 1)
        assert "this inbox is poison" in states[poison[code]][2]
    assert stage.inbox_faults(without=deleted | set(poison.values())) == []

    again = stage.last_line("push", "run", "--once", "--json", **PUSH)
    assert (again["sent"], again["given_up"]) == (0, 0)


def not_yet_due(stage: Stage) -> int:
    [(count,)] = stage.query("SELECT count(*) FROM projector.outbox WHERE due_at > clock_timestamp()")
    return int(count)


def test_healed_recipient_gets_its_reply_once(stage: Stage) -> None:
    stage.switch_on()
    with stage.connect() as conn:
        conn.execute(POISON)
    [refusing] = stage.platform.play(answers, own_caller=True)
    stage.query("INSERT INTO public.poison VALUES (%s, '23514') RETURNING code", refusing.caller)
    stage.settle()
    wait_until(lambda: not_yet_due(stage) == 0 and stage.due() == 1, "the reply is due")
    assert stage.last_line("push", "run", "--once", "--json", **PUSH)["given_up"] == 1
    stage.query("DELETE FROM public.poison RETURNING code")
    assert stage.run("push", "retry", refusing.id, **PUSH).code == 0
    stage.last_line("push", "run", "--once", "--json", **PUSH)
    assert stage.inbox_faults() == []
