"""What strangers give, as a table: each input, and what the one line about it must name."""
