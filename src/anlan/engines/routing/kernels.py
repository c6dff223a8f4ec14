"""The compiled loops of routing: a customizable contraction hierarchy (Dibbelt, Strasser, Wagner 2014) and a plain Dijkstra.

The order of nodes and the shortcuts' places depend on the map alone; travel times are poured in by `customize`, so that a closed road,
rain or another vehicle costs one pass and no new preparation. Nodes are numbered by rank here: each has arcs to nodes of higher rank
only, `up` is the time along an arc, `down` the time against it. Times are whole milliseconds, so that sums are exact; NEVER is
"no way". Single-threaded and without chance: the same question has the same answer.
"""
from __future__ import annotations

import numpy as np
from numba import njit

NEVER = 1_000_000_000  # ms, eleven and a half days; two of them still fit in 32 bits
LEAF = 6  # nodes below which a part is not cut any more


@njit(cache=True)
def _cover(left_to, left_from, n_left, n_right, out_left, out_right):
    """The smallest set of nodes that touches every edge of a bipartite graph (König 1931), by augmenting paths."""
    mate_l = np.full(n_left, -1, np.int64)
    mate_r = np.full(n_right, -1, np.int64)
    parent = np.full(n_right, -1, np.int64)
    seen = np.full(n_right, -1, np.int64)
    queue = np.empty(n_left + 1, np.int64)
    for root in range(n_left):
        head, tail, end = 0, 1, -1
        queue[0] = root
        while head < tail and end < 0:
            u = queue[head]
            head += 1
            for e in range(left_from[u], left_from[u + 1]):
                v = left_to[e]
                if seen[v] == root:
                    continue
                seen[v] = root
                parent[v] = u
                if mate_r[v] < 0:
                    end = v
                    break
                queue[tail] = mate_r[v]
                tail += 1
        while end >= 0:
            u = parent[end]
            after = mate_l[u]
            mate_l[u], mate_r[end] = end, u
            end = after
    # What an unmatched left node reaches by alternating paths: its right nodes are in the cover, its left nodes are not.
    out_left[:n_left] = True
    out_right[:n_right] = False
    tail = 0
    for u in range(n_left):
        if mate_l[u] < 0:
            out_left[u] = False
            queue[tail] = u
            tail += 1
    head = 0
    while head < tail:
        u = queue[head]
        head += 1
        for e in range(left_from[u], left_from[u + 1]):
            v = left_to[e]
            if not out_right[v]:
                out_right[v] = True
                w = mate_r[v]
                if w >= 0 and out_left[w]:
                    out_left[w] = False
                    queue[tail] = w
                    tail += 1


@njit(cache=True)
def dissect(x, y, first, to):
    """An order in which small cuts of the map come last (nested dissection by straight lines in eight directions; the cut that
    severs the fewest roads for its balance is taken, its smallest vertex cover is the separator). Returns node by rank."""
    n = x.size
    order = np.arange(n)
    part = np.zeros(n, np.int64)
    pos = np.empty(n, np.int64)
    low_stack = np.empty(n + 64, np.int64)
    high_stack = np.empty(n + 64, np.int64)
    low_stack[0], high_stack[0] = 0, n
    top, stamp = 1, 0
    best_pos = np.empty(n, np.int64)
    side = np.empty(n, np.int8)
    number = np.empty(n, np.int64)
    while top > 0:
        top -= 1
        lo, hi = low_stack[top], high_stack[top]
        size = hi - lo
        if size <= LEAF:
            continue
        stamp += 1
        members = order[lo:hi].copy()
        for v in members:
            part[v] = stamp
        best, best_at, best_turn = np.inf, -1, -1
        cut = np.empty(size + 1, np.int64)
        for turn in range(8):
            angle = np.pi * turn / 8
            key = x[members] * np.cos(angle) + y[members] * np.sin(angle)
            ranked = np.argsort(key)
            for i in range(size):
                pos[members[ranked[i]]] = i
            cut[:] = 0
            for v in members:
                for e in range(first[v], first[v + 1]):
                    u = to[e]
                    if part[u] == stamp and pos[u] > pos[v]:
                        cut[pos[v] + 1] += 1
                        cut[pos[u] + 1] -= 1
            run = 0
            for i in range(1, size):
                run += cut[i]
                if i * 4 >= size and i * 4 <= 3 * size:
                    off = abs(2.0 * i / size - 1.0)
                    value = (run + 0.5) * (1.0 + 0.7 * off)
                    if value < best:
                        best, best_at, best_turn = value, i, turn
            if best_turn == turn:
                for v in members:
                    best_pos[v] = pos[v]
        n_left = n_right = edges = 0
        for v in members:
            side[v] = 0 if best_pos[v] < best_at else 1
            number[v] = -1
        for v in members:
            if side[v] == 0:
                touches = False
                for e in range(first[v], first[v + 1]):
                    u = to[e]
                    if part[u] == stamp and side[u] == 1:
                        touches = True
                        edges += 1
                        if number[u] < 0:
                            number[u] = n_right
                            n_right += 1
                if touches:
                    number[v] = n_left
                    n_left += 1
        in_left = np.zeros(n_left + 1, np.bool_)
        in_right = np.zeros(n_right + 1, np.bool_)
        left_from = np.zeros(n_left + 1, np.int64)
        left_to = np.empty(edges, np.int64)
        k = done = 0
        for v in members:
            if side[v] == 0 and number[v] >= 0:
                for e in range(first[v], first[v + 1]):
                    u = to[e]
                    if part[u] == stamp and side[u] == 1:
                        left_to[k] = number[u]
                        k += 1
                done += 1
                left_from[done] = k
        _cover(left_to, left_from, n_left, n_right, in_left, in_right)
        at_left = lo
        for v in members:
            if side[v] == 0 and not (number[v] >= 0 and in_left[number[v]]):
                order[at_left] = v
                at_left += 1
        at_right = at_left
        for v in members:
            if side[v] == 1 and not (number[v] >= 0 and in_right[number[v]]):
                order[at_right] = v
                at_right += 1
        at = at_right
        for v in members:
            if number[v] >= 0 and ((side[v] == 0 and in_left[number[v]]) or (side[v] == 1 and in_right[number[v]])):
                order[at] = v
                at += 1
        low_stack[top], high_stack[top] = lo, at_left
        low_stack[top + 1], high_stack[top + 1] = at_left, at_right
        top += 2
    return order


@njit(cache=True)
def shortcuts(rank, order, first, to):
    """(start, head, parent): each node's arcs to higher ranks after contracting in this order, heads rising; the parent is its lowest head."""
    n = rank.size
    start = np.zeros(n + 1, np.int64)
    head = np.empty(max(16, 4 * to.size), np.int32)
    parent = np.full(n, -1, np.int32)
    child = np.full(n, -1, np.int32)
    sibling = np.full(n, -1, np.int32)
    mark = np.full(n, -1, np.int32)
    size = 0
    for a in range(n):
        begin = size
        v = order[a]
        need = first[v + 1] - first[v]
        c = child[a]
        while c >= 0:
            need += start[c + 1] - start[c]
            c = sibling[c]
        if size + need > head.size:
            larger = np.empty(max(2 * head.size, size + need), np.int32)
            larger[:size] = head[:size]
            head = larger
        for e in range(first[v], first[v + 1]):
            b = rank[to[e]]
            if b > a and mark[b] != a:
                mark[b] = a
                head[size] = b
                size += 1
        c = child[a]
        while c >= 0:
            for k in range(start[c], start[c + 1]):
                b = head[k]
                if b > a and mark[b] != a:
                    mark[b] = a
                    head[size] = b
                    size += 1
            c = sibling[c]
        head[begin:size].sort()
        start[a + 1] = size
        if size > begin:
            p = head[begin]
            parent[a] = p
            sibling[a] = child[p]
            child[p] = a
    return start, head[:size].copy(), parent


@njit(cache=True)
def places(start, head, tail_rank, head_rank):
    """Where each road's arc lies among the shortcuts: index, and whether it goes up."""
    at = np.empty(tail_rank.size, np.int64)
    upward = np.empty(tail_rank.size, np.bool_)
    for e in range(tail_rank.size):
        a, b = tail_rank[e], head_rank[e]
        upward[e] = a < b
        if a > b:
            a, b = b, a
        if a == b:
            at[e] = -1
            continue
        lo, hi = start[a], start[a + 1]
        while lo < hi:
            mid = (lo + hi) // 2
            if head[mid] < b:
                lo = mid + 1
            else:
                hi = mid
        at[e] = lo
    return at, upward


@njit(cache=True)
def lower(start, head):
    """(start, arc, tail): for each node the arcs that end in it, from rising tails."""
    n = start.size - 1
    begin = np.zeros(n + 1, np.int64)
    for k in range(head.size):
        begin[head[k] + 1] += 1
    for v in range(n):
        begin[v + 1] += begin[v]
    fill = begin[:-1].copy()
    arc = np.empty(head.size, np.int32)
    tail = np.empty(head.size, np.int32)
    for v in range(n):
        for k in range(start[v], start[v + 1]):
            arc[fill[head[k]]] = k
            tail[fill[head[k]]] = v
            fill[head[k]] += 1
    return begin, arc, tail


@njit(cache=True)
def pour(at, upward, time, up, down):
    """The roads' own times into their arcs; everything else is NEVER."""
    up[:] = NEVER
    down[:] = NEVER
    for e in range(at.size):
        k = at[e]
        if k >= 0:
            if upward[e]:
                up[k] = min(up[k], time[e])
            else:
                down[k] = min(down[k], time[e])


@njit(cache=True)
def families(start, parent):
    """Number each node by its family (supernode): consecutive ranks whose arcs lead to the same higher nodes."""
    n = parent.size
    family = np.zeros(n, np.int32)
    for v in range(1, n):
        same = parent[v - 1] == v and start[v] - start[v - 1] == start[v + 1] - start[v] + 1
        family[v] = family[v - 1] + (0 if same else 1)
    return family


@njit(cache=True)
def customize(start, head, family, low_start, low_arc, low_tail, up, down):
    """Every arc becomes the shortest way that keeps to lower ranks: the triangles below each arc, in rising order of rank.

    The tails of one family share their heads, so their triangles are first gathered side by side (vector instructions) and then
    put in place once; nearly all triangles of a large map lie in few wide families.
    """
    n = start.size - 1
    there = np.empty(n, np.int32)
    back = np.empty(n, np.int32)
    widest = 0
    for v in range(n):
        widest = max(widest, start[v + 1] - start[v])
    one = np.empty(widest + 1, np.int32)
    two = np.empty(widest + 1, np.int32)
    for a in range(n):
        for k in range(start[a], start[a + 1]):
            there[head[k]] = up[k]
            back[head[k]] = down[k]
        q, last = low_start[a], low_start[a + 1]
        while q < last:
            begin = low_arc[q] + 1
            size = start[low_tail[q] + 1] - begin
            if size == 0:
                q += 1
                continue
            names = head[begin : begin + size]
            same = family[low_tail[q]]
            _first(up[begin : begin + size], down[begin : begin + size], down[begin - 1], up[begin - 1], one, two)
            q += 1
            while q < last and family[low_tail[q]] == same:
                begin = low_arc[q] + 1
                _again(up[begin : begin + size], down[begin : begin + size], down[begin - 1], up[begin - 1], one, two)
                q += 1
            for k in range(size):
                b = np.uint32(names[k])
                there[b] = min(there[b], one[k])
                back[b] = min(back[b], two[k])
        for k in range(start[a], start[a + 1]):
            b = np.uint32(head[k])
            up[k] = there[b]
            down[k] = back[b]


@njit(cache=True)
def _first(up, down, to_v, from_v, one, two):
    for k in range(up.size):
        one[k] = np.int32(to_v + up[k])
        two[k] = np.int32(from_v + down[k])


@njit(cache=True)
def _again(up, down, to_v, from_v, one, two):
    for k in range(up.size):
        x = np.int32(to_v + up[k])
        y = np.int32(from_v + down[k])
        one[k] = min(one[k], x)
        two[k] = min(two[k], y)


@njit(cache=True)
def climb(start, head, parent, up, inner, first, node, offset, dist):
    """Ways upward into `dist[inner[v], row]`, one row for each point: point r begins at nodes `node[first[r]:first[r + 1]]` after `offset`."""
    n = parent.size
    own = np.full(n, NEVER, np.int32)
    for row in range(first.size - 1):
        for s in range(first[row], first[row + 1]):
            v = node[s]
            own[v] = min(own[v], offset[s])
            # Two beginnings meet at an ancestor: the second walk sees the smaller of both from there on.
            while v >= 0:
                d = own[v]
                if d < NEVER:
                    for k in range(start[v], start[v + 1]):
                        b = np.uint32(head[k])
                        own[b] = min(own[b], np.int32(d + up[k]))
                v = parent[v]
        for s in range(first[row], first[row + 1]):
            v = node[s]
            while v >= 0:
                if own[v] < NEVER:
                    dist[inner[v], row] = own[v]
                    own[v] = NEVER
                v = parent[v]


@njit(cache=True)
def above(parent, nodes):
    """All ancestors of these nodes with themselves, ranks falling."""
    n = parent.size
    mark = np.zeros(n, np.bool_)
    count = 0
    for v in nodes:
        while v >= 0 and not mark[v]:
            mark[v] = True
            count += 1
            v = parent[v]
    found = np.empty(count, np.int32)
    at = 0
    for v in range(n - 1, -1, -1):
        if mark[v]:
            found[at] = v
            at += 1
    return found


@njit(cache=True)
def descend(start, head, down, chosen, inner, dist):
    """Carry the times of all rows down to the chosen nodes (ranks falling, closed upward); `inner` is each one's line in `dist`."""
    for q in range(chosen.size):
        v = chosen[q]
        row = dist[q]
        for k in range(start[v], start[v + 1]):
            w = down[k]
            if w < NEVER:
                _carry(dist[inner[head[k]]], row, w)


@njit(cache=True)
def _carry(other, row, w):
    for c in range(row.size):
        d = np.int32(other[c] + w)
        row[c] = min(row[c], d)


@njit(cache=True)
def dijkstra(first, to, arc, time, node, offset, stop, dist, came):
    """Plain Dijkstra over a forward star (`arc` names the entry of `time`); `came[v]` is the position in the star that reached v.

    Stops when `stop` (−1: never) is settled. For single routes, and to check the hierarchy against.
    """
    dist[:] = NEVER
    came[:] = -1
    key = np.empty(to.size + node.size + 1, np.int64)
    size = 0
    for s in range(node.size):
        if offset[s] < dist[node[s]]:
            dist[node[s]] = offset[s]
            size = _push(key, size, (np.int64(offset[s]) << 32) | node[s])
    while size > 0:
        one = key[0]
        size = _pop(key, size)
        d, u = one >> 32, one & 0xFFFFFFFF
        if d > dist[u]:
            continue
        if u == stop:
            return
        for e in range(first[u], first[u + 1]):
            w = time[arc[e]]
            v = to[e]
            if w < NEVER and d + w < dist[v]:
                dist[v] = d + w
                came[v] = e
                size = _push(key, size, ((d + w) << 32) | np.int64(v))


@njit(cache=True)
def _push(key, size, one):
    at = size
    while at > 0:
        above_ = (at - 1) >> 2
        if key[above_] <= one:
            break
        key[at] = key[above_]
        at = above_
    key[at] = one
    return size + 1


@njit(cache=True)
def _pop(key, size):
    size -= 1
    one = key[size]
    at = 0
    while True:
        child = 4 * at + 1
        if child >= size:
            break
        least = child
        for c in range(child + 1, min(child + 4, size)):
            if key[c] < key[least]:
                least = c
        if key[least] >= one:
            break
        key[at] = key[least]
        at = least
    key[at] = one
    return size


@njit(cache=True)
def dominators(first, to, back_first, back_to, root):
    """The immediate dominator of each node reached from `root` (−1: not reached), and the reached nodes in reverse postorder
    (Cooper, Harvey, Kennedy 2001). Whoever dominates v lies on every way to v."""
    n = first.size - 1
    number = np.full(n, -1, np.int64)
    stack = np.empty(n, np.int64)
    turn = first[:-1].copy()
    post = np.empty(n, np.int64)
    count = 0
    seen = np.zeros(n, np.bool_)
    stack[0] = root
    seen[root] = True
    top = 1
    while top > 0:
        u = stack[top - 1]
        if turn[u] < first[u + 1]:
            v = to[turn[u]]
            turn[u] += 1
            if not seen[v]:
                seen[v] = True
                stack[top] = v
                top += 1
        else:
            top -= 1
            post[count] = u
            count += 1
    order = post[:count][::-1].copy()
    for i in range(count):
        number[order[i]] = i
    dom = np.full(n, -1, np.int64)
    dom[root] = root
    changed = True
    while changed:
        changed = False
        for i in range(1, count):
            v = order[i]
            new = -1
            for e in range(back_first[v], back_first[v + 1]):
                u = back_to[e]
                if number[u] < 0 or dom[u] < 0:
                    continue
                if new < 0:
                    new = u
                    continue
                a = u
                while a != new:
                    while number[a] > number[new]:
                        a = dom[a]
                    while number[new] > number[a]:
                        new = dom[new]
            if dom[v] != new:
                dom[v] = new
                changed = True
    return dom, order


@njit(cache=True)
def beneath(dom, order, one):
    """Which nodes `one` dominates (order: reverse postorder, so a dominator comes before whom it dominates)."""
    found = np.zeros(dom.size, np.bool_)
    found[one] = True
    for i in range(1, order.size):
        v = order[i]
        if found[dom[v]]:
            found[v] = True
    return found
