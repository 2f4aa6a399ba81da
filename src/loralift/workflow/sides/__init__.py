"""The two sides of `loralift compare`: how they are read, and the checks before a verdict.

::

    reading --Side--> pairing (are the rows the same questions?)
                      directions (is more better?), scales (are the values on one scale?), making (were the runs alike?)

`loralift.workflow.compare_inputs` asks them in this order.
"""
