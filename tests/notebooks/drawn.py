"""Asks a page whether our views are really drawn: not whether their markup is there, but whether somebody sees it."""

from __future__ import annotations

from typing import Any

__all__ = ["drawn", "faults"]

# All our views of a page: their size, the size of their pictures, and the contrast of their text.
_SCRIPT = """
const luminance = ([r, g, b]) => {
    const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const numbers = color => (color.match(/[\\d.]+/g) || []).map(Number);
const opaque = color => { const found = numbers(color); return found.length === 3 || found[3] > 0.5; };
const canvas = page => {
    const probe = page.body.appendChild(page.createElement("i"));
    probe.style.backgroundColor = "Canvas";
    const color = getComputedStyle(probe).backgroundColor;
    probe.remove();
    return numbers(color);
};
const background = node => {
    for (let at = node; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor;
        if (opaque(color)) return numbers(color);
    }
    return canvas(document);
};
const contrast = node => {
    const [a, b] = [luminance(numbers(getComputedStyle(node).color)), luminance(background(node))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const size = node => { const box = node.getBoundingClientRect(); return [box.width, box.height]; };
const words = view => [...view.querySelectorAll("*")].filter(node =>
    !node.closest("svg, style, script, [hidden]") && node.getClientRects().length &&
    [...node.childNodes].some(child => child.nodeType === 3 && /[\\p{L}\\p{N}]/u.test(child.data)));
const outermost = view => !view.parentElement.closest(".interp");
return [...document.querySelectorAll(".interp")].filter(outermost).map(view => ({
    size: size(view),
    pictures: [...view.querySelectorAll("svg")].filter(svg => svg.getClientRects().length).map(size),
    faint: words(view).filter(node => contrast(node) < 3).map(node => node.textContent.trim().slice(0, 60)),
    squeezed: words(view).filter(node => node.textContent.trim().length > 8 && size(node)[0] > 1 && size(node)[0] < 20)
        .map(node => node.textContent.trim().slice(0, 60)),
    astray: [...view.querySelectorAll("td:not([class]):not([style])")].filter(cell =>
        getComputedStyle(cell).textAlign === "right").map(cell => cell.textContent.trim().slice(0, 60)),
    spilt: [...view.querySelectorAll("td, th")].filter(cell => cell.scrollWidth > cell.clientWidth + 2 &&
        cell.clientWidth && getComputedStyle(cell).overflowX === "visible")
        .map(cell => cell.textContent.trim().slice(0, 60)),
    wide: view.scrollWidth - view.clientWidth,
}));
"""


def drawn(session: Any) -> list[dict[str, Any]]:
    """Measure the views of a page, and those in its frames: they are sandboxed, so that each is asked by itself."""
    views: list[dict[str, Any]] = session.execute_script(_SCRIPT)
    for frame in session.find_elements("css selector", "iframe[srcdoc]"):
        session.switch_to.frame(frame)
        views += session.execute_script(_SCRIPT)
        session.switch_to.default_content()
    return views


def faults(session: Any) -> list[str]:
    """What is wrong with the views that a page shows."""
    found: list[str] = []
    for number, view in enumerate(drawn(session), 1):
        width, height = view["size"]
        if width < 100 or height < 20:
            found.append(f"view {number} is {width:.0f} x {height:.0f}")
        found += [f"a picture of view {number} is {w:.0f} x {h:.0f}" for w, h in view["pictures"] if w * h < 50]
        found += [f"view {number} cannot be read: {words!r}" for words in view["faint"]]
        found += [f"view {number} has no room for {words!r}" for words in view["squeezed"]]
        found += [f"the page around it sets {words!r} of view {number} to the right" for words in view["astray"]]
        found += [f"{words!r} of view {number} runs over its cell" for words in view["spilt"]]
        if view["wide"] > 1:
            found.append(f"view {number} is cut off at the right by {view['wide']} px")
    return found
