"""What people use today, written as they write it."""
