"""Registers (台账): a declaration gives list, map, history, forms, import, export, feed and rights. See declare.py."""
from .declare import KINDS, REGISTERS, Field, Personal, Register, get, of, register

__all__ = ["KINDS", "REGISTERS", "Field", "Personal", "Register", "get", "of", "register"]
