"""Wires the rooms into work: evaluate, compare, report. The command line and the Python API both call this.

::

    RunConfig --running--> generating --> scoring --> comparing --> reporting --> the run directory
"""
