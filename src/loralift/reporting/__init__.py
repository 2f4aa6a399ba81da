"""Shows what was found: the table on the terminal, report.md, the charts.

A report is made from a `Report` record alone; `tables` turns it into rows of text once, and the terminal and the
Markdown page show the same rows.
"""
