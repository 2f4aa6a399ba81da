"""Fuzzing of everything that reads what strangers wrote, and of what shows it: `make fuzz`."""
