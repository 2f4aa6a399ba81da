"""report.html: one file that needs nothing else, and asks nothing of any network.

``templates/`` holds the page in parts, its style and its scripts. Everything it says is made in Python; only the list
of rows is shown by a script, a few at a time.
"""

from __future__ import annotations

from loralift.reporting.page.rendering import render

__all__ = ["render"]
