"""The rules said slowly: one reading at a time, every window added up from scratch. Shares no code with the engine."""
from __future__ import annotations

NEVER = 2**63 - 1


class Slow:
    def __init__(self, series, rules, keep):
        self.series, self.rules = series, rules
        self.keep = max([keep, *(int(max(rule.windows)) for rule in rules)])
        self.seen = [[] for _ in range(series)]  # every accepted (time, value), in order of arrival
        self.colour = [[0] * series for _ in rules]
        self.clock = -1
        self.counts = {"new": 0, "duplicate": 0, "conflict": 0, "old": 0}

    def newest(self, s):
        return max((time for time, _ in self.seen[s]), default=-1)

    def value_at(self, s, at):
        return next(value for time, value in self.seen[s] if time == at)

    def measure(self, kind, s, at, window):
        if kind == "sum":
            return sum(value for time, value in self.seen[s] if at - window < time <= at)
        inside = [value for time, value in self.seen[s] if at - window <= time <= at]
        return self.value_at(s, at) - min(inside)

    def judge(self, index, s):
        """(colour, evidence of each colour) at the newest event time, with what is known."""
        rule, at = self.rules[index], self.newest(s)
        limits = [int(x) for x in rule.thresholds[s]]
        if rule.kind in ("sum", "rise"):
            values = [self.measure(rule.kind, s, at, int(w)) for w in rule.windows]
            return max([k + 1 for k in range(4) if limits[k] != NEVER and values[k] >= limits[k]], default=0), values
        if rule.kind == "level":
            on = [False] * 4
            for time in sorted({time for time, _ in self.seen[s]}):
                here = [value for t, value in self.seen[s] if t == time]
                for k in range(4):
                    floor = limits[k] - int(rule.hysteresis[s])
                    if limits[k] != NEVER and any(value < floor for value in here):
                        on[k] = False
                    if limits[k] != NEVER and any(value >= limits[k] for value in here):
                        on[k] = True
            return max([k + 1 for k in range(4) if on[k]], default=0), [self.value_at(s, at)] * 4
        gone = max(self.clock - at, 0)
        return (self.colour[index][s] if self.clock - at > int(rule.after[s]) else 0), [gone] * 4

    def take(self, s, time, value):
        newest = self.newest(s)
        if newest >= 0 and time <= newest - self.keep and time != newest:
            self.counts["old"] += 1
        else:
            known = [v for t, v in self.seen[s] if t == time]
            if known:
                self.counts["duplicate" if known[0] == value else "conflict"] += 1
                return []
            self.counts["new"] += 1
        self.seen[s].append((time, value))
        out = []
        for index in range(len(self.rules)):
            new, values = self.judge(index, s)
            old = self.colour[index][s]
            if new != old:
                column = min(max((new if new > 0 else old) - 1, 0), 3)
                out.append((s, self.newest(s), index, old, new, values[column], time))
                self.colour[index][s] = new
        return out

    def tick(self, now):
        self.clock = max(self.clock, now)
        out = []
        for s in range(self.series):
            at = self.newest(s)
            for index, rule in enumerate(self.rules):
                old = new = self.colour[index][s]
                if rule.kind == "silence":
                    if at < 0 or not rule.after[s] or self.clock - at <= rule.after[s]:
                        new = 0
                    elif old == 0:
                        new = 2 if self.measure(rule.measure, s, at, int(rule.windows[0])) >= rule.thresholds[s][0] else 1
                    evidence = self.clock - at
                elif old > 0 and rule.stale_after and self.clock - at > rule.stale_after:
                    new, evidence = -1, self.value_at(s, at)
                if new != old:
                    out.append((s, self.clock, index, old, new, evidence, at))
                    self.colour[index][s] = new
        return out
