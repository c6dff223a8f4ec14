"""The telephone: a copy of the work taken at shift start, and what was done with it when there was no network.

`sync` takes operations (once per op_id, in any order, however late), `bundle` gives out the copy, `files` takes
photographs in parts. A room lets its own operations come from a telephone by `sync.kind(...)`.
"""
