"""Connects the rooms to whole tasks: evaluate, compare, report. The command line and the Python API call this.

::

    RunConfig --running--> generating --> scoring --> comparing --> reporting --> the run directory
"""
