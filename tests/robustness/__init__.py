"""Fault injection and hostile input: ``make torture``. One part per module."""
