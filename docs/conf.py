# Configuration of the documentation. Strict (warnings fail the build) and offline (nothing is fetched).

import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())

project = PYPROJECT["project"]["name"]
release = PYPROJECT["project"]["version"]
copyright = "the authors of interp"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3  # pages and error messages link to headings: errors.md#nondeterminism
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = project
html_copy_source = False
