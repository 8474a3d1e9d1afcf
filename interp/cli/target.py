"""TARGET: which workflow to run. A module or a file, and a function in it where there is more than one workflow."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

import attrs

from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import InterpError, UsageError
from interp.payloads import PayloadCodec
from interp.versions import is_of

__all__ = ["TargetError", "codec_in", "import_target", "workflow_in"]


@attrs.frozen(eq=False)
class TargetError(UsageError):
    """What was given as TARGET or MODULE leads to no workflow.

    Attributes:
        target: What was given.
        problem: What is wrong with it.
        cure: What to write instead, or where to look; may be empty.
    """

    target: str
    problem: str
    cure: str = ""

    def __str__(self) -> str:
        """Name the target, what is wrong and the cure."""
        return f"{self.target} {self.problem}" + (f"\n  {self.cure}" if self.cure else "")


def workflow_in(target: str) -> WorkflowDefinition:
    """Import TARGET and return the workflow that it names.

    Args:
        target: `module:function`, `path/to/file.py:function`, or without the function where there is one workflow.

    Raises:
        TargetError: It cannot be imported, or names no workflow.
        InvalidDefinition: It names something else than a workflow, or the module defines one wrongly.
    """
    place, name = _split(target)
    module = import_target(place)
    found = _workflows(module)
    if not name:
        if len({definition.family for definition in found.values()}) == 1:
            return max(found.values(), key=lambda definition: definition.version)
        if not found:
            raise TargetError(place, "has no workflow", "A workflow is a generator function with @workflow above it.")
        choices = ", ".join(f"{place}:{name}" for name in found)
        raise TargetError(place, f"has {len(found)} workflows; say which one", choices)
    value: object = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if callable(value):
        return workflow_of(value)
    named = [definition for definition in found.values() if is_of(definition.name, name)]
    if named:
        return max(named, key=lambda definition: definition.version)
    has = f"It has: {', '.join(found)}." if found else "It has none at all."
    raise TargetError(place, f"has no workflow {name!r}", has)


def codec_in(target: str) -> PayloadCodec:
    """Import the codec that `module:name` or `path/to/file.py:name` names.

    Raises:
        TargetError: It cannot be imported, or names no codec.
    """
    place, name = _split(target)
    if not name:
        raise TargetError(target, "names no codec", f"Write {target}:NAME, with the name of the variable.")
    codec: object = getattr(import_target(place), name, None)
    if isinstance(codec, type) or not isinstance(codec, PayloadCodec):
        raise TargetError(target, "is no codec", "A codec is an object with encode(bytes) and decode(bytes).")
    return codec


def import_target(place: str) -> ModuleType:
    """Import a module by its name, or a file by its path.

    Raises:
        TargetError: There is none, or it raises while it is imported.
        InterpError: As the module raises it, such as InvalidDefinition.
    """
    try:
        if place.endswith(".py") or os.sep in place:
            return _import_file(Path(place), place)
        sys.path[:0] = [str(Path.cwd())]
        return importlib.import_module(place)
    except InterpError:
        raise
    except SystemExit as error:
        raise TargetError(
            place,
            f"exits while it is imported (status {error.code})",
            'Put what the script does below `if __name__ == "__main__":`.',
        ) from error
    except Exception as error:
        raise _broken(place, error) from error


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.rpartition(":")
    if colon and place and not name.endswith(".py") and "/" not in name and "\\" not in name:
        return place, name
    return target, ""


def _import_file(path: Path, place: str) -> ModuleType:
    """Import a file: as part of its package if it has one, else as a module beside its neighbours, like a script."""
    if not path.is_file():
        raise TargetError(place, "is no file" if path.exists() else "is not there", f"Looked in {Path.cwd()}.")
    path = path.resolve()
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").exists() and root != root.parent:
        parts.insert(0, root.name)
        root = root.parent
    sys.path[:0] = [str(root)]
    name = ".".join(parts)
    if len(parts) > 1:
        return importlib.import_module(name.removesuffix(".__init__"))
    if name in sys.modules or name in sys.stdlib_module_names:  # a workflow in queue.py must not become `queue`
        name = f"{name} (interp target)"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(place, "is no Python file", "Its name must end in .py.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _workflows(module: ModuleType) -> dict[str, WorkflowDefinition]:
    """Return the workflows of a module by the names of its variables: those defined there, else those imported."""
    found = {
        name: definition
        for name, value in vars(module).items()
        if isinstance(definition := getattr(value, "__interp_workflow__", None), WorkflowDefinition)
    }
    own = {name: definition for name, definition in found.items() if definition.fn.__module__ == module.__name__}
    return own or found


def _broken(place: str, error: Exception) -> TargetError:
    """Say what went wrong, and on which line of whose code."""
    told = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name is not None and f"{place}.".startswith(f"{error.name}."):
        return TargetError(place, "is no module that Python can find", f"Looked in {Path.cwd()} and on sys.path.")
    if isinstance(error, SyntaxError):
        return TargetError(place, f"cannot be imported: {type(error).__name__}: {error.msg}", _at(error))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    lines = [f'File "{_short(frame.filename)}", line {frame.lineno}:  {frame.line}' for frame in frames]
    return TargetError(place, f"cannot be imported: {told}", "\n  ".join(lines[-3:]))


def _at(error: SyntaxError) -> str:
    return f'File "{_short(error.filename or "?")}", line {error.lineno}:  {(error.text or "").strip()}'


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _is_ours(filename: str) -> bool:
    """Tell frames of importing from those of the module."""
    return filename == __file__ or filename.startswith("<frozen ") or filename == importlib.__file__
