"""What stands on the two sides of `loralift compare`, and what must be known of it before a verdict.

::

    reading --Side--> pairing (are the rows the same questions?)
                      directions (is more better?), scales (are the values on one scale?), making (were the runs alike?)

`loralift.workflow.compare_inputs` asks them in this order.
"""
