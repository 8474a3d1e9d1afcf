"""The story of the README's first screen, played with a real kill."""

import os
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def _block(language: str) -> list[str]:
    """Return the lines of the README's first block in a language."""
    text = README.read_text()
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0].splitlines()


def test_the_transcript_shows_what_happens(tmp_path: Path) -> None:
    (tmp_path / "checkout.py").write_text("\n".join(_block("python")) + "\n")
    transcript = _block("console")
    # The kill comes when the charge is in the journal, however slow the machine is: instead of after a fixed time.
    charged = "until interp list 2>/dev/null | grep -q send_mail; do :; done"
    commands = [line.removeprefix("$ ").replace("sleep 1.5", charged) for line in transcript if line.startswith("$ ")]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    environment.pop("INTERP_STORE", None)

    played = subprocess.run(
        ["bash", "-c", "\n".join(commands)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert played.returncode == 0, played.stderr
    assert played.stdout.splitlines() == [line for line in transcript if not line.startswith("$ ")]
