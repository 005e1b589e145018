"""`projector init`: its files work, it replaces none without a question, and on a terminal it asks."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import all_of, environment, run_projector
from deployed_roles import deploy, new_database

from projector.settings import Settings, load, variable
from testbed.servers.start import Postgres

FILES = ["grants.sql", "grants_activity_logs.sql", "projector.env", "roles.sql"]


def settings_of(file: Path) -> dict[str, str]:
    """The variables, as `docker run --env-file` reads them."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_files_make_a_role_with_which_doctor_finds_nothing_to_change(
    postgres: Postgres, kafka: str, topic: str, tmp_path: Path
) -> None:
    with new_database(postgres.url) as roles:
        flags = ["--into", str(tmp_path), "--database-url", roles.url("run"), "--topic", topic]
        done = run_projector("init", *flags, bootstrap_servers=kafka)
        assert (done.code, done.err) == (0, "")
        assert sorted(path.name for path in tmp_path.iterdir()) == FILES
        assert (tmp_path / "projector.env").stat().st_mode & 0o777 == 0o600
        deploy(roles, tmp_path)
        variables = settings_of(tmp_path / "projector.env")
        assert set(variables) == {"PROJECTOR_DATABASE_URL", "PROJECTOR_BOOTSTRAP_SERVERS", "PROJECTOR_TOPIC"}
        own = {name.removeprefix("PROJECTOR_").lower(): value for name, value in variables.items()}
        report = run_projector("doctor", "--json", **own)
        changes = [each for each in report.json()["checks"] if each["level"] == "change"]
        assert [each for each in changes if "permission" in str(each) or "GRANT" in str(each)] == []
        assert (report.code, changes) == (0, [])


def test_every_line_with_a_default_can_be_used(tmp_path: Path) -> None:
    assert run_projector("init", "--into", str(tmp_path)).code == 0
    text = (tmp_path / "projector.env").read_text()
    assert [name for name in Settings.model_fields if f"\n#{variable(name)}=" not in text] == []
    defaults = [line[1:] for line in text.splitlines() if line.startswith("#PROJECTOR_")]
    assert load({}, dict(line.split("=", 1) for line in defaults)) == load({}, {})
    assert settings_of(tmp_path / "projector.env") == {}


@pytest.mark.parametrize("name", FILES)
def test_file_is_replaced_only_with_a_consent(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    refused = run_projector("init", "--into", str(tmp_path))
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"projector: this would replace {tmp_path / name}: add --yes to do it\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    assert run_projector("init", "--into", str(tmp_path), "--yes").code == 0
    assert (tmp_path / name).read_text() != "mine"


def test_terminal_is_asked_and_a_wrong_answer_is_asked_again(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "init", "--group-id", "g"]
    variables = environment({"topic": "t"})
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, cwd=tmp_path) as process:
        os.close(theirs)
        os.write(ours, b"postgresql://me@db/x?a=1&b=2\nnowhere\nkafka:9092\n\n")
        shown = all_of(ours)
    assert process.returncode == 0, shown
    assert "PROJECTOR_BOOTSTRAP_SERVERS): 'nowhere' is not host:port" in shown
    assert settings_of(tmp_path / "projector.env") == {
        "PROJECTOR_DATABASE_URL": "postgresql://me@db/x?a=1&b=2",
        "PROJECTOR_BOOTSTRAP_SERVERS": "kafka:9092",
        "PROJECTOR_TOPIC": "t",
        "PROJECTOR_GROUP_ID": "g",
    }


def test_end_of_the_input_writes_nothing_and_ends_the_line(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command, variables = [sys.executable, "-m", "projector", "init"], environment({})
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, cwd=tmp_path) as init:
        os.close(theirs)
        os.write(ours, b"\x04")
        shown = all_of(ours)
    assert init.returncode == 1, shown
    assert "projector: nothing was written" in shown.splitlines()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_printed_lines_give_a_shell_every_value_as_it_is(shell: str, tmp_path: Path) -> None:
    value = "host=db password='it''s $HOME & `id`' dbname=x\\y "
    done = run_projector("init", "--into", str(tmp_path), "--database-url", value, "--topic", "*")
    (loop,) = re.findall(r"^  while .*\n  done < .*$", done.out, re.MULTILINE)
    text = (tmp_path / "projector.env").read_text()
    assert loop.replace("  ", "#     ") in text
    script = f'{loop}\nprintf "%s\\n" "$PROJECTOR_DATABASE_URL" "$PROJECTOR_TOPIC"'
    printed = subprocess.run([shell, "-c", script], cwd=tmp_path, capture_output=True, text=True, env={})
    assert (printed.stdout, printed.stderr) == (f"{value}\n*\n", "")


def test_password_is_not_shown_in_the_question(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "init"]
    variables = environment({"database_url": "postgresql://me:secret-word@db/x"})
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, cwd=tmp_path) as process:
        os.close(theirs)
        os.write(ours, b"\n\n\n\n")
        shown = all_of(ours)
    assert process.returncode == 0, shown
    assert "postgresql://me:**********@db/x" in shown
    assert "secret-word" not in shown
    assert settings_of(tmp_path / "projector.env")["PROJECTOR_DATABASE_URL"] == "postgresql://me:secret-word@db/x"


def test_value_of_a_file_stays_in_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://me:secret-word@db/x")
    into = tmp_path / "into"
    into.mkdir()
    assert run_projector("init", "--into", str(into), database_url_file=str(secret)).code == 0
    assert settings_of(into / "projector.env") == {"PROJECTOR_DATABASE_URL_FILE": str(secret)}
    done = run_projector("init", "--into", str(into), "--yes", dashboard_tokens="a" * 20 + "\n" + "b" * 20)
    assert (done.code, "PROJECTOR_DASHBOARD_TOKENS has several lines" in done.err) == (2, True)


def test_wrong_folder_or_value_writes_nothing(tmp_path: Path) -> None:
    assert run_projector("init", "--into", str(tmp_path / "none")).code == 2
    assert run_projector("init", "--into", str(tmp_path), "--bootstrap-servers", "x").code == 2
    assert list(tmp_path.iterdir()) == []
