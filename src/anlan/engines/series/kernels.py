"""The loops over readings, compiled by numba. Imported only when a first batch comes: nobody else waits for the compiler.

Two stores hold the readings that windows can still reach:
  the ring   [bin][series]: all series write the same few rows at one time (5 times the speed of [series][bin]);
             for series whose times lie on the grid and not too far behind the others
  the lists  one sorted list a series, for all other series: any second, any gap

A kernel that cannot go on (no room for results, a value wider than the ring) returns where it stopped and why; the
caller makes room and calls it again from there. What Python calls takes the arrays of `Flat` one by one: a tuple of
arrays costs numba most of a millisecond a call.
"""
from __future__ import annotations

import numpy as np
from numba import njit

from .rules import INDEX, LEVEL, NEVER, OVER, RISE, SUM, Flat

DONE, FULL, WIDEN, POOL, ASIDE = range(5)  # why a kernel returned
NEW, DUPLICATE, CONFLICT, OLD, FUTURE, UNHEARD, RANGE, LATE = range(8)  # fates of a reading, and a count of late ones
NEWEST, FIXED = range(2)  # columns of `hot`: what every reading touches; then a colour for each signal, then each measure
LAST, SINCE = range(2)  # columns of `tail`
NOWHERE, RING, LIST = range(3)
WIDEST = 2**31 - 2  # largest value, in quanta, either way


@njit(cache=True, inline="always")
def _part(value, floor, over):
    """A reading's share of a window's sum."""
    if over:
        return max(value - floor, 0)
    return value


# --- lists -----------------------------------------------------------------------------------------------------------


@njit(cache=True)
def list_anchor(s, flat, hot, tail, lists, pool, signals):
    """Sums and pointers of a list, from scratch, at the newest time told."""
    newest = hot[s, NEWEST]
    start, count = lists[s, 0], lists[s, 1]
    for m in range(flat.kind.size):
        kind = flat.kind[m]
        if kind == SUM or kind == OVER:
            place, total = 0, 0
            while place < count and pool[start + place, 0] <= newest - flat.window[m]:
                place += 1
            for i in range(place, count):
                if pool[start + i, 0] <= newest:
                    total += _part(pool[start + i, 1], flat.floor[m], kind == OVER)
            lists[s, 3 + m] = place
            hot[s, FIXED + signals + m] = total
    list_measure(s, flat, hot, tail, lists, pool, signals)


@njit(cache=True)
def list_measure(s, flat, hot, tail, lists, pool, signals):
    """The measures that are no running sums."""
    newest, last = hot[s, NEWEST], tail[s, LAST]
    start, count = lists[s, 0], lists[s, 1]
    for m in range(flat.kind.size):
        kind = flat.kind[m]
        if kind == LEVEL:
            hot[s, FIXED + signals + m] = last
        elif kind == RISE:
            lowest, i = last, count - 1
            while i >= 0 and pool[start + i, 0] >= newest - flat.window[m]:
                if pool[start + i, 0] <= newest:
                    lowest = min(lowest, pool[start + i, 1])
                i -= 1
            hot[s, FIXED + signals + m] = last - lowest
        elif kind == INDEX:
            _index(s, m, flat, hot, signals)


@njit(cache=True, inline="always")
def _index(s, m, flat, hot, signals):
    total = 0
    for i in range(flat.parts[m], flat.parts[m + 1]):
        total += flat.weight[i] * hot[s, FIXED + signals + flat.part[i]]
    hot[s, FIXED + signals + m] = total


@njit(cache=True)
def list_room(s, keep, hot, tail, lists, pool, end, wanted):
    """Make room for `wanted` more readings in a list; False when the pool is used up."""
    start, count, room = lists[s, 0], lists[s, 1], lists[s, 2]
    if count + wanted <= room:
        return True
    gone = 0
    while gone < count and pool[start + gone, 0] < hot[s, NEWEST] - keep:
        gone += 1
    fits = count - gone + wanted <= room
    if not (fits and 4 * gone >= room):
        larger = max(8, 2 * (count - gone + wanted))
        if end[0] + larger > pool.shape[0]:
            return False
        lists[s, 0], lists[s, 2] = end[0], larger
        end[0] += larger
    for i in range(gone, count):
        pool[lists[s, 0] + i - gone, 0] = pool[start + i, 0]
        pool[lists[s, 0] + i - gone, 1] = pool[start + i, 1]
    lists[s, 1] = count - gone
    for m in range(3, lists.shape[1]):
        lists[s, m] = max(lists[s, m] - gone, 0)
    return True


@njit(cache=True)
def list_put(s, t, v, keep, flat, hot, tail, lists, pool, signals):
    """Store one reading and move the running sums; room must be there. Its fate."""
    newest = hot[s, NEWEST]
    start, count = lists[s, 0], lists[s, 1]
    if newest < 0 or t > newest:
        pool[start + count, 0], pool[start + count, 1] = t, v
        lists[s, 1] = count + 1
        for m in range(flat.kind.size):
            kind = flat.kind[m]
            if kind == SUM or kind == OVER:
                p, total = lists[s, 3 + m], hot[s, FIXED + signals + m]
                while p < count and pool[start + p, 0] <= t - flat.window[m]:
                    total -= _part(pool[start + p, 1], flat.floor[m], kind == OVER)
                    p += 1
                lists[s, 3 + m] = p
                hot[s, FIXED + signals + m] = total + _part(v, flat.floor[m], kind == OVER)
        return NEW
    if t <= newest - keep and t != newest:
        return OLD
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if pool[start + middle, 0] < t:
            low = middle + 1
        else:
            high = middle
    if low < count and pool[start + low, 0] == t:
        return DUPLICATE if pool[start + low, 1] == v else CONFLICT
    for i in range(count, low, -1):
        pool[start + i, 0], pool[start + i, 1] = pool[start + i - 1, 0], pool[start + i - 1, 1]
    pool[start + low, 0], pool[start + low, 1] = t, v
    lists[s, 1] = count + 1
    for m in range(flat.kind.size):
        kind = flat.kind[m]
        if kind == SUM or kind == OVER:
            if t > newest - flat.window[m]:
                hot[s, FIXED + signals + m] += _part(v, flat.floor[m], kind == OVER)
            else:
                lists[s, 3 + m] += 1
    return NEW


@njit(cache=True)
def list_prime(series, time, value, keep, start, hot, tail, lists, pool, end, signals,
               kind, window, floor, parts, part, weight, first, measure, colour, limit, row, slack, slack_row, held, after, table):
    """Put sorted readings into empty or older lists without judging. (where it stopped, why)."""
    flat = Flat(kind, window, floor, parts, part, weight, first, measure, colour, limit, row, slack, slack_row, held, after, table)
    for i in range(start, series.size):
        s = series[i]
        if not list_room(s, keep, hot, tail, lists, pool, end, 1):
            return i, POOL
        first, count = lists[s, 0], lists[s, 1]
        place = count
        while place > 0 and pool[first + place - 1, 0] > time[i]:
            pool[first + place, 0], pool[first + place, 1] = pool[first + place - 1, 0], pool[first + place - 1, 1]
            place -= 1
        if place > 0 and pool[first + place - 1, 0] == time[i]:
            for j in range(place, count):
                pool[first + j, 0], pool[first + j, 1] = pool[first + j + 1, 0], pool[first + j + 1, 1]
            continue
        pool[first + place, 0], pool[first + place, 1] = time[i], value[i]
        lists[s, 1] = count + 1
    for i in range(series.size):
        if i == 0 or series[i] != series[i - 1]:
            list_anchor(series[i], flat, hot, tail, lists, pool, signals)
    return series.size, DONE


# --- judging ---------------------------------------------------------------------------------------------------------


@njit(cache=True, inline="always")
def _limit(j, s, flat):
    return flat.table[flat.row[j], s] if flat.row[j] >= 0 else flat.limit[j]


@njit(cache=True)
def remember(s, t, v, flat, entered, fallen):
    """Hysteresis: two maxima of event times, so late readings need no second pass over history."""
    for j in range(flat.measure.size):
        h = flat.held[j]
        if h >= 0:
            limit = _limit(j, s, flat)
            if limit != NEVER:
                slack = flat.table[flat.slack_row[j], s] if flat.slack_row[j] >= 0 else flat.slack[j]
                if v >= limit:
                    entered[h, s] = max(entered[h, s], t)
                if v < limit - slack:
                    fallen[h, s] = max(fallen[h, s], t)


@njit(cache=True)
def judge(s, reading, arrival, flat, hot, entered, fallen, clock, silences, out, k):
    """Colour of every signal of a series at its newest time; changes go to `out` from row k. The next free row."""
    signals = flat.after.size
    at = hot[s, NEWEST]
    for g in range(signals):
        old, new, value = hot[s, FIXED + g], 0, 0
        if flat.after[g] >= 0:
            if not silences:
                continue
            value = max(clock - at, 0)
            if clock - at > flat.table[flat.after[g], s]:
                new = old
        else:
            for j in range(flat.first[g], flat.first[g + 1]):
                limit = _limit(j, s, flat)
                if limit == NEVER:
                    continue
                x, h = hot[s, FIXED + signals + flat.measure[j]], flat.held[j]
                holds = x >= limit if h < 0 else entered[h, s] >= 0 and entered[h, s] >= fallen[h, s]
                if holds:
                    new, value = flat.colour[j], x
        if new != old:
            if new == 0 and flat.after[g] < 0:
                # A fall is shown by the measure that no longer holds the old colour.
                for j in range(flat.first[g], flat.first[g + 1]):
                    if j == flat.first[g] or flat.colour[j] == old:
                        value = hot[s, FIXED + signals + flat.measure[j]]
                        if flat.colour[j] == old:
                            break
            hot[s, FIXED + g] = new
            out[k, 0], out[k, 1], out[k, 2], out[k, 3], out[k, 4], out[k, 5], out[k, 6], out[k, 7] = arrival, s, at, g, old, new, value, reading
            for m in range(flat.kind.size):
                out[k, 8 + m] = hot[s, FIXED + signals + m]
            k += 1
    return k


@njit(cache=True)
def judge_all(series, hot, entered, fallen, clock, out,
              kind, window, floor, parts, part, weight, first, measure, colour, limit, row, slack, slack_row, held, after, table):
    flat = Flat(kind, window, floor, parts, part, weight, first, measure, colour, limit, row, slack, slack_row, held, after, table)
    k = 0
    for i in range(series.size):
        s = series[i]
        k = judge(s, hot[s, NEWEST], -1, flat, hot, entered, fallen, clock, False, out, k)
    return k


# --- now -------------------------------------------------------------------------------------------------------------


@njit(cache=True)
def ring_leave(s, keep, flat, bins, hot, tail, where, ring, grid, lists, pool, end, signals):
    """Move a series from the ring to a list of its own. False when the pool is used up."""
    rows, step, phase = ring.shape[0], grid[1], grid[2]
    missing = np.iinfo(ring.dtype).min
    newest = (hot[s, NEWEST] - phase) // step
    low = max(grid[0] - rows + 1, newest - keep // step)
    count = 0
    for b in range(low, newest + 1):
        if ring[b % rows, s] != missing:
            count += 1
    if not list_room(s, keep, hot, tail, lists, pool, end, count + 1):
        return False
    at = lists[s, 0]
    lists[s, 1] = 0
    for b in range(low, newest + 1):
        if ring[b % rows, s] != missing:
            pool[at, 0], pool[at, 1] = b * step + phase, ring[b % rows, s]
            at += 1
            lists[s, 1] += 1
    for b in range(rows):
        ring[b, s] = missing
    where[s] = LIST
    list_anchor(s, flat, hot, tail, lists, pool, signals)
    return True


@njit(cache=True)
def ring_join(s, keep, flat, hot, tail, where, ring, grid, lists, pool):
    """Move a series with a list back to the ring, when all that windows can reach of it lies on the grid and in the range."""
    rows, step, phase = ring.shape[0], grid[1], grid[2]
    start, count = lists[s, 0], lists[s, 1]
    widest = np.iinfo(ring.dtype).max
    for i in range(count):
        t = pool[start + i, 0]
        if t > hot[s, NEWEST] - keep - 1 and ((t - phase) % step != 0 or abs(pool[start + i, 1]) > widest):
            return
    for i in range(count):
        b = (pool[start + i, 0] - phase) // step
        if b > grid[0] - rows:
            ring[b % rows, s] = pool[start + i, 1]
    lists[s, 1] = 0
    where[s] = RING


@njit(cache=True)
def ring_turn(b, keep, flat, bins, hot, tail, where, ring, grid, lists, pool, end, signals):
    """Open the rows up to bin b. Series so far behind that a row they need would be lost go to lists first."""
    rows, step, phase, slack = ring.shape[0], grid[1], grid[2], grid[3]
    missing = np.iinfo(ring.dtype).min
    if grid[0] < 0:
        grid[0] = b - 1
    # grid[4] is a lower bound of the newest bins of all series in the ring: most turns need not look at them.
    if grid[4] < b - slack:
        oldest = b
        for s in range(where.size):
            if where[s] == RING:
                newest = (hot[s, NEWEST] - phase) // step
                if newest < b - slack:
                    if not ring_leave(s, keep, flat, bins, hot, tail, where, ring, grid, lists, pool, end, signals):
                        return False
                else:
                    oldest = min(oldest, newest)
        grid[4] = oldest
    for x in range(max(grid[0] + 1, b - rows + 1), b + 1):
        ring[x % rows, :] = missing
    grid[0] = b
    return True


@njit(cache=True, inline="always")
def _ring_measure(s, newest, flat, bins, hot, tail, ring, signals):
    rows = ring.shape[0]
    missing = np.iinfo(ring.dtype).min
    for m in range(bins.size):
        kind = flat.kind[m]
        if kind == LEVEL:
            hot[s, FIXED + signals + m] = tail[s, LAST]
        elif kind == RISE:
            lowest = tail[s, LAST]
            for x in range(newest - bins[m], newest):
                y = ring[x % rows, s]
                if y != missing:
                    lowest = min(lowest, np.int64(y))
            hot[s, FIXED + signals + m] = tail[s, LAST] - lowest
        elif kind == INDEX:
            _index(s, m, flat, hot, signals)


@njit(nogil=True, cache=True)
def dash(series, time, value, start, top, step, phase, bins, first, judged, colours, limits, row, table, hot, tail, where, ring, status, same):
    """The common case and nothing else: the next reading of a series in the ring, sums only, no colour changes.

    Where it stopped: at the first reading that is anything else, its series untouched."""
    rows, signals, measures = ring.shape[0], first.size - 1, bins.size
    missing, widest = np.iinfo(ring.dtype).min, np.iinfo(ring.dtype).max
    sums = FIXED + signals
    prior_t, x = np.int64(-1), np.int64(0)
    for i in range(start, series.size):
        s, t, v = series[i], time[i], value[i]
        if t != prior_t:
            if t > top:
                return i
            x = ((t - phase) // step) % rows
            prior_t = t
        # A series in the ring is on the grid, and so is its time one step later.
        if s < 0 or where[s] != RING or t - hot[s, NEWEST] != step or v > widest or v < -widest:
            return i
        for m in range(measures):
            y = x - bins[m]
            z = ring[y + rows if y < 0 else y, s]
            hot[s, sums + m] += v - (np.int64(z) if z != missing else 0)
        for g in range(signals):
            new = 0
            for j in range(first[g], first[g + 1]):
                limit = table[row[j], s] if row[j] >= 0 else limits[j]
                new = colours[j] if hot[s, sums + judged[j]] >= limit and limit != NEVER else new
            if new != hot[s, FIXED + g]:
                for m in range(measures):
                    y = x - bins[m]
                    z = ring[y + rows if y < 0 else y, s]
                    hot[s, sums + m] -= v - (np.int64(z) if z != missing else 0)
                return i
        ring[x, s] = v
        if v != tail[s, LAST]:
            tail[s, LAST] = v
            tail[s, SINCE] = t
        hot[s, NEWEST] = t
        same[i] = t - tail[s, SINCE]
        status[i] = NEW
    return series.size


@njit(nogil=True, cache=True)
def take(series, time, value, clock_of, ahead, start, keep, bins, plain, hot, tail, entered, fallen, where, ring, grid, lists, pool, end,
         source, counts, status, late, same, clock, out,
         kind, window, floor, parts, part, weight, first, measure, colour, limit, row, slack, slack_row, held, after, table):
    """Fold readings from `start` in order of arrival, each measure at once. (where it stopped, rows of `out` used, why)."""
    flat = Flat(kind, window, floor, parts, part, weight, first, measure, colour, limit, row, slack, slack_row, held, after, table)
    k, signals = 0, after.size
    rows, step, phase, slack = ring.shape[0], grid[1], grid[2], grid[3]
    missing, widest = np.iinfo(ring.dtype).min, np.iinfo(ring.dtype).max
    room = out.shape[0] - signals
    many, timed = source.size > 0, clock_of.size > 0
    prior_t, prior_b, prior_x, on_grid = np.int64(-1), np.int64(0), np.int64(0), False
    runs = plain and step > 0 and not many and not timed
    until = start
    for i in range(start, series.size):
        if i < until:
            continue
        if runs and grid[0] >= 0:
            until = dash(series, time, value, i, grid[0] * step + phase, step, phase, bins, first, measure, colour, limit, row, table, hot, tail,
                         where, ring, status, same)
            counts[0, NEW] += until - i
            if until > i:
                continue
        s, t, v = series[i], np.int64(time[i]), np.int64(value[i])
        if s < 0:
            status[i] = UNHEARD
            counts[counts.shape[0] - 1, UNHEARD] += 1
            continue
        src = source[s] if many else 0
        if k > room:
            return i, k, FULL
        if timed and t > clock_of[i] + ahead:
            status[i] = FUTURE
            counts[src, FUTURE] += 1
            continue
        if v > WIDEST or v < -WIDEST:
            status[i] = RANGE
            counts[src, RANGE] += 1
            continue
        newest, last = hot[s, NEWEST], tail[s, LAST]
        place = where[s]
        if step > 0 and place != LIST:
            if t != prior_t:
                prior_t, prior_b = t, (t - phase) // step
                prior_x = prior_b % rows
                on_grid = prior_b * step + phase == t
            b = prior_b
            # A series new to the ring must not open it far in the past or far ahead.
            fits = on_grid and v <= widest and v >= -widest and (grid[0] < 0 or b > grid[0] - slack or (place == RING and t <= newest))
            if on_grid and (v > widest or v < -widest) and widest < WIDEST:
                return i, k, WIDEN
            if not fits:
                if place == RING and not ring_leave(s, keep, flat, bins, hot, tail, where, ring, grid, lists, pool, end, signals):
                    return i, k, POOL
                where[s] = place = LIST
            elif b > grid[0]:
                if not ring_turn(b, keep, flat, bins, hot, tail, where, ring, grid, lists, pool, end, signals):
                    return i, k, POOL
                place = where[s]  # it may itself have been too far behind
        elif place != LIST:
            where[s] = place = LIST
        is_late = newest >= 0 and t <= newest
        if place == LIST:
            if not list_room(s, keep, hot, tail, lists, pool, end, 1):
                return i, k, POOL
            fate = list_put(s, t, v, keep, flat, hot, tail, lists, pool, signals)
        else:
            b, x = prior_b, prior_x
            fate = NEW
            if newest < 0 or t > newest:
                if newest < 0:
                    where[s] = RING
                    grid[4] = min(grid[4], b)
                    former = b
                elif t - newest == step:
                    former = b - 1  # the usual case without a division
                else:
                    former = (newest - phase) // step
                for m in range(bins.size):
                    how = kind[m]
                    if how == SUM or how == OVER:
                        c, w = FIXED + signals + m, bins[m]
                        total = hot[s, c]
                        if b - former >= w:
                            total = 0
                        else:
                            for y in range(former - b + 1, 1):  # the bins that leave, counted from the last
                                place_of = x - w + y
                                if place_of < 0:
                                    place_of += rows
                                    if place_of < 0:
                                        place_of += rows
                                z = ring[place_of, s]
                                if z != missing:
                                    total -= _part(np.int64(z), floor[m], how == OVER)
                        hot[s, c] = total + _part(v, floor[m], how == OVER)
                ring[x, s] = v
            elif t <= newest - keep and t != newest:
                fate = OLD
            elif ring[x, s] != missing:
                fate = DUPLICATE if ring[x, s] == v else CONFLICT
            else:
                ring[x, s] = v
                age = (newest - phase) // step - b
                for m in range(bins.size):
                    how = kind[m]
                    if (how == SUM or how == OVER) and age < bins[m]:
                        hot[s, FIXED + signals + m] += _part(v, floor[m], how == OVER)
        status[i] = fate
        late[i] = is_late
        counts[src, fate] += 1
        if fate == DUPLICATE or fate == CONFLICT:
            continue
        if is_late:
            counts[src, LATE] += 1
        elif fate == NEW:
            if newest < 0 or v != last:
                tail[s, SINCE] = t
            same[i] = t - tail[s, SINCE]
            hot[s, NEWEST], tail[s, LAST] = t, v
        if not plain:
            if fate == NEW:
                if place == LIST:
                    list_measure(s, flat, hot, tail, lists, pool, signals)
                else:
                    _ring_measure(s, (hot[s, NEWEST] - phase) // step, flat, bins, hot, tail, ring, signals)
            remember(s, t, v, flat, entered, fallen)
        moved = False
        for g in range(signals):
            old, new = hot[s, FIXED + g], 0
            if after[g] >= 0:
                moved |= old != 0
                continue
            for j in range(first[g], first[g + 1]):
                bound = table[row[j], s] if row[j] >= 0 else limit[j]
                h = held[j]
                if h < 0:
                    if hot[s, FIXED + signals + measure[j]] >= bound and bound != NEVER:
                        new = colour[j]
                elif bound != NEVER and entered[h, s] >= 0 and entered[h, s] >= fallen[h, s]:
                    new = colour[j]
            moved |= old != new
        if moved:
            k = judge(s, t, i, flat, hot, entered, fallen, clock, True, out, k)
        if place == LIST and step > 0 and not is_late and (t - phase) % step == 0:
            b = (t - phase) // step
            if b <= grid[0] and b > grid[0] - slack:
                ring_join(s, keep, flat, hot, tail, where, ring, grid, lists, pool)
                if where[s] == RING:
                    grid[4] = min(grid[4], b)
    return series.size, k, DONE


# --- exact -----------------------------------------------------------------------------------------------------------

LOW, HIGH, OPENED, JUDGED, TOP = range(5)  # a source's marks: its columns, newest bin opened, newest bin judged, newest time
BLOCK = 2048  # columns at a time: what a block needs of every row stays in the first-level cache


@njit(cache=True)
def _slide(total, comes, goes, missing):
    for i in range(total.size):
        a, b = comes[i], goes[i]
        total[i] += (a if a != missing else 0) - (b if b != missing else 0)


@njit(cache=True)
def _slide_over(total, comes, goes, floor, missing):
    for i in range(total.size):
        a, b = np.int64(comes[i]), np.int64(goes[i])
        total[i] += (max(a - floor, 0) if a != missing else 0) - (max(b - floor, 0) if b != missing else 0)


@njit(cache=True)
def _at_least(found, total, limit, colour):
    for i in range(found.size):
        found[i] = colour if total[i] >= limit else found[i]


@njit(cache=True)
def _differ(found, colour, row, missing):
    moved = 0
    for i in range(found.size):
        moved |= (found[i] != colour[i]) & (row[i] != missing)
    return moved


@njit(cache=True)
def sweep(b, t, low, high, flat, ring, sums, colour, on, newest, clock, out, k):
    """Judge bin b (time t) of the columns low .. high; changes go to `out` from row k. The next free row."""
    rows, signals = ring.shape[0], flat.after.size
    missing = np.iinfo(ring.dtype).min
    found = np.empty(BLOCK, np.int8)
    for start in range(low, high, BLOCK):
        stop = min(start + BLOCK, high)
        row = ring[b % rows, start:stop]
        for m in range(flat.kind.size):
            how, total = flat.kind[m], sums[m, start:stop]
            if how == SUM:
                _slide(total, row, ring[(b - flat.window[m]) % rows, start:stop], missing)
            elif how == OVER:
                _slide_over(total, row, ring[(b - flat.window[m]) % rows, start:stop], flat.floor[m], missing)
            elif how == LEVEL:
                for i in range(total.size):
                    if row[i] != missing:
                        total[i] = row[i]
            elif how == RISE:
                # Where nothing came the rise as last judged stays.
                for i in range(total.size):
                    if row[i] != missing:
                        total[i] = 0
                for x in range(b - flat.window[m], b):
                    past = ring[x % rows, start:stop]
                    for i in range(total.size):
                        if row[i] != missing and past[i] != missing:
                            total[i] = max(total[i], np.int64(row[i]) - np.int64(past[i]))
            else:
                for i in range(total.size):
                    index = np.int64(0)
                    for p in range(flat.parts[m], flat.parts[m + 1]):
                        index += flat.weight[p] * np.int64(sums[flat.part[p], start + i])
                    total[i] = index
        if newest.size:
            for i in range(stop - start):
                if row[i] != missing:
                    newest[start + i] = t
        for g in range(signals):
            now = found[: stop - start]
            was = colour[g, start:stop]
            if flat.after[g] >= 0:
                for i in range(now.size):
                    still = clock - t > flat.table[flat.after[g], start + i]
                    now[i] = was[i] if still else 0
            else:
                now[:] = 0
                for j in range(flat.first[g], flat.first[g + 1]):
                    total, h = sums[flat.measure[j], start:stop], flat.held[j]
                    if h < 0 and flat.row[j] < 0:
                        if flat.limit[j] <= np.iinfo(sums.dtype).max:
                            _at_least(now, total, flat.limit[j], np.int8(flat.colour[j]))
                    else:
                        for i in range(now.size):
                            limit = flat.table[flat.row[j], start + i] if flat.row[j] >= 0 else flat.limit[j]
                            if limit == NEVER:
                                continue
                            if h < 0:
                                if total[i] >= limit:
                                    now[i] = flat.colour[j]
                            else:
                                slack = flat.table[flat.slack_row[j], start + i] if flat.slack_row[j] >= 0 else flat.slack[j]
                                if row[i] != missing:
                                    if total[i] >= limit:
                                        on[h, start + i] = 1
                                    elif total[i] < limit - slack:
                                        on[h, start + i] = 0
                                if on[h, start + i]:
                                    now[i] = flat.colour[j]
            if not _differ(now, was, row, missing):
                continue
            for i in range(now.size):
                old, new = was[i], now[i]
                if old == new or row[i] == missing:
                    continue
                value = np.int64(0)
                if flat.after[g] >= 0:
                    value = max(clock - t, 0)
                else:
                    shown = -1
                    for j in range(flat.first[g], flat.first[g + 1]):
                        total_j = np.int64(sums[flat.measure[j], start + i])
                        if new == 0:
                            if shown < 0 or (flat.colour[j] == old and flat.colour[shown] != old):
                                shown, value = j, total_j
                        elif flat.colour[j] == new:
                            h = flat.held[j]
                            limit = flat.table[flat.row[j], start + i] if flat.row[j] >= 0 else flat.limit[j]
                            if limit != NEVER and ((h < 0 and total_j >= limit) or (h >= 0 and on[h, start + i] == 1)):
                                value = total_j
                was[i] = new
                out[k, 0], out[k, 1], out[k, 2], out[k, 3], out[k, 4], out[k, 5], out[k, 6], out[k, 7] = -1, start + i, t, g, old, new, value, t
                for m in range(flat.kind.size):
                    out[k, 8 + m] = sums[m, start + i]
                k += 1
    return k


@njit(cache=True)
def close_one(source, step, phase, marks, ring, sums, colour, on, newest, clock, out,
              kind, window, floor, parts, part, weight, first, measure, colour_, limit, row, slack, slack_row, held, after, table):
    """Judge the next bin of a source; how many rows of `out` that gave."""
    flat = Flat(kind, window, floor, parts, part, weight, first, measure, colour_, limit, row, slack, slack_row, held, after, table)
    marks[source, JUDGED] += 1
    b = marks[source, JUDGED]
    return sweep(b, b * step + phase, marks[source, LOW], marks[source, HIGH], flat, ring, sums, colour, on, newest, clock, out, 0)


@njit(cache=True)
def advance(m, t, lateness, step, phase, behind, flat, marks, ring, sums, colour, on, newest, clock, out, k):
    """Open a source's bins up to time t and judge those behind the watermark. (rows used, finished): call again when not."""
    rows, low, high = ring.shape[0], marks[m, LOW], marks[m, HIGH]
    missing = np.iinfo(ring.dtype).min
    target, judged = (t - phase) // step, (t - lateness - phase) // step
    if marks[m, OPENED] < 0:
        marks[m, OPENED], marks[m, JUDGED] = target, judged
        return k, True
    need = (high - low) * flat.after.size
    # Past a gap that empties every window nothing is judged bin by bin: there is no reading in it.
    gap = target - marks[m, OPENED] > rows + behind
    stop = marks[m, OPENED] if gap else judged
    while marks[m, OPENED] < target or marks[m, JUDGED] < stop:
        if marks[m, OPENED] < target and not gap and marks[m, JUDGED] >= min(stop, marks[m, OPENED] - behind):
            marks[m, OPENED] += 1
            ring[marks[m, OPENED] % rows, low:high] = missing
            continue
        if marks[m, JUDGED] >= stop:
            break
        if k + need > out.shape[0]:
            return k, False
        marks[m, JUDGED] += 1
        b = marks[m, JUDGED]
        k = sweep(b, b * step + phase, low, high, flat, ring, sums, colour, on, newest, clock, out, k)
    if gap:
        ring[:, low:high] = missing
        for j in range(flat.kind.size):
            if flat.kind[j] != LEVEL and flat.kind[j] != RISE:
                sums[j, low:high] = 0
        marks[m, OPENED], marks[m, JUDGED] = target, judged
    return k, True


@njit(nogil=True, cache=True)
def gather(series, time, value, clock_of, ahead, start, lateness, step, phase, behind, sources, column, straight, marks, ring, sums, colour, on, newest,
           aside, some_aside, counts, status, waits, clock, out,
           kind, window, floor, parts, part, weight, first, measure, colour_, limit, row, slack, slack_row, held, after, table):
    """Put readings into their bins from `start` in order of arrival, and judge what falls behind the watermarks.

    `waits` is set for readings that wait off the grid. (where it stopped, rows of `out` used, why)."""
    flat = Flat(kind, window, floor, parts, part, weight, first, measure, colour_, limit, row, slack, slack_row, held, after, table)
    k, rows = 0, ring.shape[0]
    missing, widest = np.iinfo(ring.dtype).min, min(np.iinfo(ring.dtype).max, WIDEST)
    one, timed = marks.shape[0] == 1, clock_of.size > 0
    prior_t, b, x, on_grid = np.int64(-1), np.int64(0), np.int64(0), False
    m, top, judged = 0, marks[0, TOP], marks[0, JUDGED]
    taken = 0
    for i in range(start, series.size):
        s, t, v = series[i], np.int64(time[i]), value[i]
        if t != prior_t:
            prior_t = t
            if step > 0:
                b = (t - phase) // step
                x = b % rows
                on_grid = b * step + phase == t
        if s < 0:
            status[i] = UNHEARD
            counts[counts.shape[0] - 1, UNHEARD] += 1
            continue
        if not one:
            m = sources[s]
            top, judged = marks[m, TOP], marks[m, JUDGED]
        if timed and t > clock_of[i] + ahead:
            status[i] = FUTURE
            counts[m, FUTURE] += 1
            continue
        if v > widest or v < -widest:
            if v > WIDEST or v < -WIDEST:
                status[i] = RANGE
                counts[m, RANGE] += 1
                continue
            if step > 0:
                counts[0, NEW] += taken
                return i, k, WIDEN
        apart = step == 0 or (some_aside and aside[s] != 0)
        if not apart and not on_grid:
            counts[0, NEW] += taken
            return i, k, ASIDE
        if t > top:
            if step > 0:
                k, finished = advance(m, t, lateness, step, phase, behind, flat, marks, ring, sums, colour, on, newest, clock, out, k)
                if not finished:
                    counts[0, NEW] += taken
                    return i, k, FULL
                judged = marks[m, JUDGED]
            marks[m, TOP] = top = t
        elif apart:
            told = judged if step == 0 or judged < 0 else judged * step + phase
            if t <= told or t <= top - lateness:
                status[i] = OLD
                counts[m, OLD] += 1
                continue
        elif b <= judged:
            status[i] = OLD
            counts[m, OLD] += 1
            continue
        if apart:
            waits[i] = True
            counts[m, LATE] += t < top
            continue
        c = s if straight else column[s]
        held_value = ring[x, c]
        if held_value != missing:
            fate = DUPLICATE if held_value == v else CONFLICT
            status[i] = fate
            counts[m, fate] += 1
            continue
        ring[x, c] = v
        if one:
            taken += 1
        else:
            counts[m, NEW] += 1
        if t < top:
            counts[m, LATE] += 1
    counts[0, NEW] += taken
    return series.size, k, DONE
