"""Sirens."""
