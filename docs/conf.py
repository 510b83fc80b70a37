"""The documentation site: ``make docs`` builds it from these pages, and from those that stand by the code.

The source is the repository's root, so that links between pages are the same here and in the repository. The reference
of commands is made from the commands themselves. Nothing is fetched, neither by the build nor by a page.
"""

from importlib.metadata import version as version_of

project = "gmsr"
version = release = version_of("gmsr")
extensions = ["myst_parser", "sphinx_click"]
myst_enable_extensions = ["colon_fence"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "agents/README.md", "broker/PROTOCOL.md",
    "launch/record/schema.md",
]  # fmt: skip
highlight_language = "none"
myst_heading_anchors = 4
html_theme = "furo"
html_title = "gmsr"
html_copy_source = False
html_show_sphinx = False
