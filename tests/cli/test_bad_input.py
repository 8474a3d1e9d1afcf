"""What does not make sense is told in a few lines, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from tests.cli.command import Told

Interp = Callable[..., Told]

TARGETS = {
    "checkout": ("flows.py:chekout", "flows.py has no workflow 'chekout'", "It has: checkout, quick,"),
    "no module": ("nowhere:flow", "nowhere is no module that Python can find", "Looked in "),
    "no file": ("nowhere.py", "nowhere.py is not there", "Looked in "),
    "folder": ("folder.py", "folder.py is no file"),
    "several": ("flows.py", "workflows; say which one", "flows.py:checkout"),
    "empty": ("empty.py", "empty.py has no workflow", "@workflow"),
    "activity": ("flows.py:echo", "echo (flows.py:", "never yields"),
    "no decorator": ("flows.py:helper", "helper (flows.py:", "Write @workflow above its `def`."),
    "no generator": ("plain.py", "plain (plain.py:", "never yields", "yield from call"),
    "import": (
        "needy.py:flow",
        "needy.py cannot be imported: ModuleNotFoundError",
        "'no_such_library'",
        'needy.py", line 2',
    ),
    "raises": ("raising.py", "NameError: name 'undefined' is not defined", 'raising.py", line 3'),
    "syntax": ("broken.py", "broken.py cannot be imported: SyntaxError", 'broken.py", line 2'),
    "exits": ("exiting.py", "exits while it is imported (status 3)", "__main__"),
}

FILES = {
    "empty.py": "x = 1\n",
    "plain.py": "from interp import workflow\n@workflow\ndef plain():\n    return 1\n",
    "needy.py": "\nimport no_such_library\n",
    "raising.py": "def f():\n\n    return undefined\n\nf()\n",
    "broken.py": "x = 1\ndef f(:\n",
    "exiting.py": "import sys\nsys.exit(3)\n",
}

ARGUMENTS = {
    "none": ("checkout", (), "checkout(order: flows.Order) takes 1 argument", "gives none"),
    "too many": ("quick", ("a", "1", "2"), "quick(name: str, times: int = 1) takes 1 to 2 arguments", "gives 3"),
    "field": (
        "checkout",
        ('{"id": 42, "cents": 1}',),
        "order.id: expected str, found 42",
        "checkout(order: flows.Order)",
    ),
    "missing field": ("checkout", ('{"id": "42"}',), "order", "cents"),
    "word": ("quick", ("a", "many"), "times: expected int, found 'many'"),
    "broken JSON": ("checkout", ('{"id": ',), "begins like JSON and is none"),
    "no JSON form": ("takes_socket", ("1",), "value: expected socket", "there is no JSON form for this type"),
}


@pytest.fixture
def files(place: Path) -> None:
    for name, text in FILES.items():
        (place / name).write_text(text)
    (place / "folder.py").mkdir()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("target", "parts"), [(target, parts) for target, *parts in TARGETS.values()], ids=TARGETS)
def test_a_target_that_leads_to_no_workflow(interp: Interp, place: Path, target: str, parts: list[str]) -> None:
    told = interp("run", target)

    assert told.is_error(*parts)
    assert len(told.err.splitlines()) <= 4
    assert not (place / ".interp").exists()


@pytest.mark.parametrize(
    ("flow", "words", "parts"), [(flow, words, parts) for flow, words, *parts in ARGUMENTS.values()], ids=ARGUMENTS
)
def test_arguments_that_do_not_fit(
    interp: Interp, place: Path, flow: str, words: tuple[str, ...], parts: list[str]
) -> None:
    told = interp("run", f"flows.py:{flow}", *words)

    assert told.is_error(*parts)
    assert len(told.err.splitlines()) <= 3
    assert not (place / ".interp").exists()


FAILURES = {
    "failing": (
        "interp.errors.CallFailed: broken failed after 2 attempts",
        "gateway 7 refused",
        "in helper",
        "in failing",
    ),
    "wrong_argument": ("NotEncodable", "value", "expected str", "in wrong_argument"),
    "wrong_result": ("unrecordable failed", "object cannot be recorded", "in wrong_result"),
    "wrong_yield": ("yielded 3, which is not a command", "in wrong_yield"),
}


@pytest.mark.parametrize(("flow", "parts"), FAILURES.items())
def test_a_workflow_that_fails_shows_its_own_lines(
    interp: Interp, inline: Interp, flow: str, parts: tuple[str, ...]
) -> None:
    told = interp("run", f"flows.py:{flow}", "--id", "f")

    assert told.is_error("run 'f' failed: ", 'flows.py", line ', *parts)
    assert told == inline("result", "f")


def test_a_run_that_is_not_there(interp: Interp, inline: Interp) -> None:
    interp("run", "flows.py:quick", "a")

    for command in ("show", "result", "retry", "cancel", "signal"):
        told = inline(command, "nope", *(["s"] if command == "signal" else []))
        assert told.is_error("there is no run 'nope' in lmdb:.interp", "interp list")


def test_a_run_that_has_ended(interp: Interp, inline: Interp) -> None:
    interp("run", "flows.py:quick", "a", "--id", "q")

    assert inline("signal", "q", "go").is_error("run 'q' has ended (completed); it takes no more messages")
    assert inline("cancel", "q").is_error("run 'q' has ended (completed)")
    assert inline("retry", "q").is_error("run 'q' is neither parked nor failed: it is completed")


def test_an_id_that_is_taken_by_other_arguments(interp: Interp) -> None:
    interp("run", "flows.py:quick", "a", "--id", "q")

    told = interp("run", "flows.py:quick", "b", "--id", "q")

    assert told.is_error("run id 'q' is taken", "existing:  quick('a')", "requested: quick('b')")
    assert interp("run", "flows.py:many", "a", "--id", "q").is_error("existing:  quick('a')", "requested: many(['a'])")


def test_a_store_that_is_not_there_is_not_made_by_looking(inline: Interp, place: Path) -> None:
    assert inline("list", "--store", "lmdb:typo").is_error("cannot open store 'lmdb:typo': there is no such directory")
    assert not (place / "typo").exists()


def test_a_store_of_an_unknown_kind(interp: Interp, inline: Interp) -> None:
    assert inline("list", "--store", "mongo:x").is_error("cannot open store 'mongo:x'", "lmdb:, memory:")
    assert interp("run", "flows.py:quick", "a", "--store", "here").is_error("cannot open store 'here'")


def test_a_directory_of_another_program(interp: Interp, place: Path) -> None:
    (place / "photos").mkdir()
    (place / "photos" / "cat.jpg").write_text("meow")

    for words in (["list"], ["run", "flows.py:quick", "a"], ["worker", "flows.py"]):
        assert interp(*words, "--store", "lmdb:photos").is_error("photos is not a store of interp: it holds cat.jpg")
    assert ["cat.jpg"] == [path.name for path in (place / "photos").iterdir()]


def test_a_data_file_that_is_none(inline: Interp, place: Path) -> None:
    (place / "store").mkdir()
    (place / "store" / "data.mdb").write_bytes(b"x" * 100_000)

    assert inline("list", "--store", "lmdb:store").is_error("is not a store of interp")


def test_a_store_of_another_format(interp: Interp, inline: Interp, place: Path) -> None:
    interp("run", "flows.py:quick", "a")
    _raise_format(place / ".interp")

    assert inline("list").is_error(".interp has format 99; this version of interp knows", "Nothing was changed.")


def _raise_format(store: Path) -> None:
    with lmdb.open(str(store), max_dbs=64) as env, env.begin(write=True) as txn:
        for name in [bytes(key) for key, _ in txn.cursor()]:
            table = env.open_db(name, txn, create=False)
            if txn.get(b"format", db=table) is not None:
                txn.put(b"format", (99).to_bytes(4, "big"), db=table)
                return
    raise AssertionError("the store has no format number")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("run",),
        ("worker",),
        ("lst",),
        ("run", "flows.py:quick", "a", "--stor", "x"),
        ("run", "flows.py:quick", "-x"),
        ("list", "--status", "gone"),
        ("list", "--limit", "-1"),
        ("result", "q", "--timeout", "soon"),
        ("signal", "q"),
    ],
)
def test_a_command_line_that_makes_no_sense(inline: Interp, place: Path, words: tuple[str, ...]) -> None:
    told = inline(*words)

    assert 2 == told.code
    assert "Usage: interp" in told.err
    assert "Traceback" not in told.err
    assert not (place / ".interp").exists()


def test_errors_for_machines_have_fields(interp: Interp) -> None:
    interp("run", "flows.py:quick", "a", "--id", "q")

    told = interp("run", "flows.py:quick", "b", "--id", "q", "--json")

    assert (1, "") == (told.code, told.err)
    error = told.json["error"]
    assert ("RunExists", "q", "quick('b')") == (error["type"], error["run_id"], error["requested"])
    assert error["message"].startswith("run id 'q' is taken")


def test_errors_of_failed_runs_for_machines_keep_the_cause(interp: Interp) -> None:
    error = interp("run", "flows.py:failing", "--json").json["error"]

    assert ("RunFailed", "interp.errors.CallFailed") == (error["type"], error["type_name"])
    assert error["error_message"].startswith("broken failed after 2 attempts")
    assert error["message"].startswith("run ")


def test_notes_of_an_error_are_told(interp: Interp) -> None:
    told = interp("run", "flows.py:quick", "a", "many", "--json")

    assert ["  the workflow is quick(name: str, times: int = 1)"] == told.json["error"]["notes"]


def test_the_traceback_comes_on_demand(inline: Interp) -> None:
    told = inline("show", "nope", "--store", "lmdb:typo", "--debug")

    assert 1 == told.code
    assert "Traceback" in told.err
    assert told.err.splitlines()[-1].startswith("cannot open store")


def test_what_runs_are_called_cannot_drive_the_terminal(interp: Interp, inline: Interp) -> None:
    interp("run", "flows.py:quick", "\x1b[31mred", "--id", "r\x1b[2J")

    for words in (["list"], ["show", "r\x1b[2J"], ["show", "r\x1b[2J", "--full"], ["show", "\x1b[2J"]):
        told = inline(*words)
        assert "\x1b" not in told.out + told.err
        assert "\\x1b[2J" in told.out + told.err
