"""Tests of LoraLift, one folder a room."""
