"""Closed loops (闭环): a declaration of states and steps gives board, case page, deadlines, escalation, statistics and API. See declare.py."""
from .declare import LOOPS, Evidence, Loop, Sample, State, Step, Up, Within, get, loop

__all__ = ["LOOPS", "Evidence", "Loop", "Sample", "State", "Step", "Up", "Within", "get", "loop"]
