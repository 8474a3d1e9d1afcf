"""Colours and type of all views: one style sheet, light and dark, without anything from elsewhere.

JupyterLab's own variables come first, so that a view looks like the page around it; VS Code, marimo and a page of its
own are told apart by what they set. Nothing has a background of its own but marks and cards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["HUES", "STYLE", "hues_of", "outranking", "palette", "within"]

# The palette of Okabe and Ito (2008, "Color Universal Design"), told apart by all kinds of eyes; without its black,
# which is for text, its yellow, which is too light on white, and its red, which is for failures.
HUES = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b5ea7", "#8c6d31", "#4c8c8c")

_LIGHT = """
--fg: var(--jp-content-font-color1, #1f2328); --dim: var(--jp-content-font-color2, #59636e);
--line: #d1d9e0; --grid: #e3e6ea; --band: #f6f8fa; --card: #f0f2f5; --idle: #e7e9ee;
--lit: #fff2c2; --lit-edge: #d99b00; --good: #1a7f37; --bad: #cf222e; --wait: #0969da; --odd: #8250df;
--crash: #d55e00; --crash-band: #f6dcc8; --old: #ffe2dc; --new: #d8ecff; --changed: #dafbe1;
"""

_DARK = """
--fg: var(--jp-content-font-color1, #e6edf3); --dim: var(--jp-content-font-color2, #9198a1);
--line: #3d444d; --grid: #30363d; --band: #1b1f24; --card: #2a2f36; --idle: #2a2d34;
--lit: #4a3c0a; --lit-edge: #e3b341; --good: #3fb950; --bad: #f85149; --wait: #58a6ff; --odd: #bc8cff;
--crash: #f0883e; --crash-band: #47290f; --old: #4b1d1a; --new: #0f2f4f; --changed: #123d20;
"""

STYLE = f"""
.interp {{ {_LIGHT} color: var(--fg); font: 14px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }}
@media (prefers-color-scheme: dark) {{
body:not([data-jp-theme-light]):not([class*="vscode"]):not(.light):not(.light-theme) .interp {{ {_DARK} }} }}
body[data-jp-theme-light="false"] .interp, body.vscode-dark .interp, body.vscode-high-contrast .interp,
.dark .interp, .dark-theme .interp {{ {_DARK} }}
.interp code, .interp pre, .interp .mono {{
font: 13px/1.45 ui-monospace, "Cascadia Code", Menlo, "DejaVu Sans Mono", monospace; background: none;
color: inherit; padding: 0; }}
.interp pre {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }}
.interp .dim {{ color: var(--dim); }} .interp .good {{ color: var(--good); }} .interp .bad {{ color: var(--bad); }}
.interp .wait {{ color: var(--wait); }} .interp .odd {{ color: var(--odd); }}
.interp h3 {{ font-size: 17px; margin: 0 0 2px; display: flex; gap: 8px; align-items: center; flex-wrap: wrap; }}
.interp h4 {{ font-size: 14px; margin: 14px 0 4px; }}
.interp .pill {{ font-size: 12px; font-weight: 600; border-radius: 999px; padding: 1px 9px; color: #fff; }}
.interp .pill.completed {{ background: #1f7a43; }}
.interp .pill.failed, .interp .pill.cancelled {{ background: #b42318; }}
.interp .pill.running, .interp .pill.waiting {{ background: #0b62c1; }}
.interp .pill.pending {{ background: #59636e; }}
.interp .pill.parked {{ background: #7a3fc4; }}
.interp table {{ border-collapse: collapse; table-layout: auto; font-size: 13px; margin: 4px 0; }}
.interp th {{ text-align: left; font-weight: 500; color: var(--dim); padding: 2px 14px 2px 0; background: none; }}
.interp td {{ text-align: left; padding: 2px 14px 2px 0; vertical-align: top; background: none; border: 0; }}
.interp tbody tr {{ background: none; }} .interp tbody tr:hover td {{ background: var(--band); }}
.interp .num {{ text-align: right; font-variant-numeric: tabular-nums; }}
.interp thead {{ border: 0; }} .interp tr {{ text-align: left; vertical-align: top; }}
.interp dl {{ margin: 0; }} .interp dt, .interp dd {{ float: none; clear: none; width: auto; margin: 0; padding: 0; }}
.interp h3, .interp h4 {{ font-weight: 600; line-height: 1.4; }}
.interp details > summary {{ cursor: pointer; color: var(--dim); }}
.interp svg {{ max-width: 100%; height: auto; }}
.interp svg text {{ fill: var(--fg); }} .interp svg .dim {{ fill: var(--dim); }}
"""
"""The style sheet; everything in it holds inside of an element of class `interp` only."""


# The style sheets of a view: nothing recorded can be one, as `element` escapes it.
_SHEET = re.compile("<style>.*?</style>", re.DOTALL)
_OURS = re.compile(r"\.interp(?![\w-])")


def outranking(view: str) -> str:
    """Let the style sheets of a view outrank those of the page around it.

    JupyterLab aligns the cells of tables to the right, gives code a background, and floats the terms of lists, by
    selectors of up to two classes. The class of all views three times in a row is more specific than any of these
    (Selectors 4, section 17), and keeps our own rules in their order.

    Args:
        view: Markup that has its style sheets in it.
    """
    return _SHEET.sub(lambda sheet: _OURS.sub(".interp.interp.interp", sheet[0]), view)


def within(part: str, style: str) -> str:
    """Let the style sheet of a part hold inside of that part alone.

    In a notebook the sheets of all views that are shown hold for the whole page, and short names such as `note` and
    `row` meet again. A rule is not more specific for that (`:where`; Selectors 4, section 17).

    Args:
        part: The class of the part's outermost element.
        style: Rules that begin with `.interp`.
    """
    return _OURS.sub(f".interp :where(.{part})", style)


def hues_of(names: Iterable[str]) -> dict[str, str]:
    """Give each name a colour, the same for the same order of first occurrence; beyond eight they repeat."""
    return {name: HUES[number % len(HUES)] for number, name in enumerate(dict.fromkeys(names))}


def palette(*, dark: bool = False) -> dict[str, str]:
    """Return the colours of the style sheet by name (`--fg`), for files that stand alone."""
    page = {"--page": "#0d1117" if dark else "#ffffff"}
    return page | dict(re.findall(r"(--[a-z-]+): (?:var\([^,]*, )?(#[0-9a-f]{6})", _DARK if dark else _LIGHT))
