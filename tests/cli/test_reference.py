import subprocess
import sys
from pathlib import Path

import click
import pytest

from interp.cli.app import COMMANDS, app
from interp.cli.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def command(name: str) -> click.Command:
    found = app.get_command(click.Context(app), name)
    assert found is not None
    return found


def test_the_page_is_what_the_help_says() -> None:
    assert page() == PAGE.read_text(), "stale: python -m interp.cli.reference > docs/reference/cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_commands_say(name: str) -> None:
    help_text = command(name).help
    assert help_text is not None
    assert COMMANDS[name] == help_text.partition("\n")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_common_options_and_all_have_help(name: str) -> None:
    found = command(name)
    for each in found.commands.values() if isinstance(found, click.Group) else [found]:
        options = [parameter for parameter in each.params if isinstance(parameter, click.Option)]

        assert each.help
        # lint looks at source, not at a store
        common = {"--json", "--debug"} if name == "lint" else {"--store", "--json", "--debug"}
        assert common <= {option.opts[0] for option in options}
        assert [] == [option.opts[0] for option in options if not option.help]


def test_help_needs_none_of_the_commands() -> None:
    code = """
import sys
from interp.cli import main
sys.argv = ["interp", "--help"]
try:
    main()
finally:
    print([name for name in sys.modules if name.startswith(("rich", "lmdb"))], file=sys.stderr)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
