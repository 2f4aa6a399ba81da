"""Tests of the comparison room."""
