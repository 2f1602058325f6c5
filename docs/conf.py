"""Sphinx' settings. What it reads is written by assemble.py, which copies this file beside it."""

project = "Nemesis"
author = "The Nemesis authors"
copyright = ""
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
extensions = ["myst_parser"]
myst_heading_anchors = 4  # links to headings, as code hosts have them
myst_enable_extensions = []
html_theme = "furo"
html_title = "Nemesis"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "monokai"
# Blocks with an ellipsis are not their language to the letter; files of the repository are pages as they are.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
