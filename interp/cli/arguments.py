"""Arguments from the command line, as JSON for a workflow or a signal.

Each argument is one JSON value. Text that is none is taken as a string, where a string is accepted: `hello` needs no
quotes. So is text whose JSON value does not fit the parameter while the string does: `42` for an order id.
"""

from __future__ import annotations

import inspect

import click
import msgspec

from interp.codec import ANY
from interp.definitions import WorkflowDefinition
from interp.errors import CodecError, NotDecodable, UsageError

__all__ = ["encoded_arguments", "encoded_value", "refuse_options"]

_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_OPTIONAL = (_VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def refuse_options(texts: tuple[str, ...]) -> None:
    """Refuse what was probably meant as an option; `-5` is none."""
    for text in texts:
        if text.startswith("-") and not _is_json(text):
            raise click.NoSuchOption(text.partition("=")[0])


def encoded_value(text: str | None) -> bytes:
    """Return the payload of a signal: JSON, or else the text as a string; null without a text.

    Raises:
        UsageError: It begins like JSON and is none.
    """
    if text is None:
        return b"null"
    return ANY.encode(ANY.decode(_json(text) or _string(text)))


def encoded_arguments(definition: WorkflowDefinition, texts: tuple[str, ...]) -> bytes:
    """Return the arguments of a workflow as a JSON array.

    Raises:
        UsageError: There are too few or too many, or one is broken JSON.
        NotDecodable: One does not fit its parameter.
    """
    parameters = list(definition.arguments.signature.parameters.values())
    _check_count(definition, parameters, len(texts))
    choices = [_json(text) or _string(text) for text in texts]
    owners = _owners(parameters, len(texts))
    fallback = {place for place, text in enumerate(texts) if choices[place] != _string(text)}
    first: NotDecodable | None = None
    while True:
        arguments = _slots(parameters, owners, choices)
        try:
            definition.arguments.decode(arguments)
        except NotDecodable as error:
            # Where the JSON value does not fit, the text itself may: try it before giving up.
            place = next((place for place in fallback if _is_about(error, owners[place])), None)
            if place is None:
                raise _explained(first or error, definition) from None
            first = first or error
            fallback.remove(place)
            choices[place] = _string(texts[place])
        else:
            return arguments


def _json(text: str) -> bytes | None:
    """Return the text if it is JSON, None if it is a bare word."""
    if _is_json(text):
        return text.encode()
    if text.lstrip()[:1] in ("{", "[", '"'):
        try:
            msgspec.json.decode(text)
        except (msgspec.MsgspecError, ValueError) as error:
            raise UsageError(f"{text} begins like JSON and is none: {error}") from None
    return None


def _is_json(text: str) -> bool:
    try:
        ANY.decode(text.encode())
    except (CodecError, UnicodeEncodeError):
        return False
    return True


def _string(text: str) -> bytes:
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} is not text in UTF-8") from None


def _check_count(definition: WorkflowDefinition, parameters: list[inspect.Parameter], given: int) -> None:
    fixed = [parameter for parameter in parameters if parameter.kind not in _OPTIONAL]
    fewest = sum(parameter.default is parameter.empty for parameter in fixed)
    most = None if any(parameter.kind is _VAR_POSITIONAL for parameter in parameters) else len(parameters)
    if given < fewest or (most is not None and given > most):
        takes = f"{fewest}" if most == fewest else f"at least {fewest}" if most is None else f"{fewest} to {most}"
        noun = "argument" if takes == "1" else "arguments"
        raise UsageError(
            f"{_signature(definition)} takes {takes} {noun}, and the command line gives {given or 'none'}\n"
            "  Each argument is one JSON value, in the order of the parameters; quote it for the shell."
        )


def _owners(parameters: list[inspect.Parameter], given: int) -> list[str]:
    """Return the name of the parameter that each argument belongs to."""
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is _VAR_POSITIONAL:
            names += [parameter.name] * (given - len(names))
        names.append(parameter.name)
    return names[:given]


def _slots(parameters: list[inspect.Parameter], owners: list[str], choices: list[bytes]) -> bytes:
    """Return the array of arguments, with one slot for each parameter."""
    slots: list[bytes] = []
    for parameter in parameters:
        mine = [choice for owner, choice in zip(owners, choices, strict=True) if owner == parameter.name]
        if parameter.kind is _VAR_POSITIONAL:
            slots.append(b"[" + b",".join(mine) + b"]")
        else:
            slots += mine
    return b"[" + b",".join(slots) + b"]"


def _is_about(error: NotDecodable, name: str) -> bool:
    """Tell whether a path, such as `order.items[3]`, begins with a parameter."""
    return error.path.removeprefix(name)[:1] in ("", ".", "[") and error.path.startswith(name)


def _explained(error: NotDecodable, definition: WorkflowDefinition) -> NotDecodable:
    error.add_note(f"  the workflow is {_signature(definition)}")
    return error


def _signature(definition: WorkflowDefinition) -> str:
    signature = definition.arguments.signature.replace(return_annotation=inspect.Signature.empty)
    return f"{definition.name}{signature}"
