"""Putting what refers to each other in an order: targets first."""

from collections.abc import Collection, Iterator, Mapping


def sort(references: Mapping[int, Collection[int]]) -> tuple[list[int], frozenset[int]]:
    """The nodes, each after those it refers to, and the members of cycles.

    References to what is no node are passed over. Only members of a cycle are named as such, not what refers to them.
    The order depends on the order of `references` alone. (Tarjan's algorithm, without recursion.)
    """
    order: list[int] = []
    cyclic: set[int] = set()
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_nodes: list[int] = []
    is_open: set[int] = set()
    for root in references:
        if root in number:
            continue
        way: list[tuple[int, Iterator[int]]] = []

        def enter(node: int, way: list[tuple[int, Iterator[int]]] = way) -> None:
            number[node] = lowest[node] = len(number)
            open_nodes.append(node)
            is_open.add(node)
            way.append((node, iter(sorted(references[node]))))

        enter(root)
        while way:
            node, targets = way[-1]
            for target in targets:
                if target not in references:
                    continue
                if target not in number:
                    enter(target)
                    break
                if target in is_open:
                    lowest[node] = min(lowest[node], number[target])
            else:
                way.pop()
                if way:
                    above = way[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == number[node]:
                    members = open_nodes[open_nodes.index(node) :]
                    del open_nodes[-len(members) :]
                    is_open.difference_update(members)
                    order.extend(reversed(members))
                    if len(members) > 1 or node in references[node]:
                        cyclic.update(members)
    return order, frozenset(cyclic)


def closure(starts: Collection[int], references: Mapping[int, Collection[int]]) -> set[int]:
    """The nodes that can be reached from `starts`, these included if they are nodes."""
    reached: set[int] = set()
    pending = list(starts)
    while pending:
        node = pending.pop()
        if node not in reached and node in references:
            reached.add(node)
            pending.extend(references[node])
    return reached
