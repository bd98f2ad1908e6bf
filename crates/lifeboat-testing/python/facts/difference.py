"""Comparing two lists of facts."""
import collections
import fnmatch
import itertools
import os

SHOWN_OF_A_KIND = 8
WIDEST = 300


def patterns(path):
    """The allowed differences: one shell pattern a line, `#` begins a comment."""
    if path is None:
        return []
    with open(path, encoding="utf-8") as lines:
        stripped = (line.split("#", 1)[0].strip() for line in lines)
        return [line for line in stripped if line]


def compare(left, right, allowed):
    """A readable text, and whether anything differs that is not allowed to."""
    names = sorted(left["facts"].keys() | right["facts"].keys())
    different = [name for name in names if differs(name, left["facts"], right["facts"])]
    excused = [
        name for name in different if any(fnmatch.fnmatchcase(name, one) for one in allowed)
    ]
    bad = sorted(set(different) - set(excused))
    lines = [*counts(names, set(bad))]
    lines.extend(shown(bad, left["facts"], right["facts"]))
    lines.extend(f"allowed to differ: {name}" for name in excused)
    aside = [name for name in left["aside"] if left["aside"][name] != right["aside"].get(name)]
    lines.extend(f"set aside: {name}" for name in sorted(aside))
    lines.append(
        f"{len(names)} facts: {len(names) - len(different)} equal, "
        f"{len(bad)} different, {len(excused)} allowed to differ"
    )
    return "\n".join(lines), bool(bad)


def differs(name, left, right):
    """Two answers that could not be read are not equal, whatever they were."""
    return name.startswith("unreadable/") or left.get(name) != right.get(name)


def kind_of(name):
    return name.split("/", 1)[0]


def shown(bad, left, right):
    """The first differences of each kind, with both values."""
    for kind, names in itertools.groupby(bad, kind_of):
        names = list(names)
        for name in names[:SHOWN_OF_A_KIND]:
            yield f"differs: {name}"
            for side, facts in (("-", left), ("+", right)):
                yield f"    {side} {around(facts.get(name), left.get(name), right.get(name))}"
        if len(names) > SHOWN_OF_A_KIND:
            yield f"    … and {len(names) - SHOWN_OF_A_KIND} more of kind {kind!r}"


def around(value, one, other):
    """The part of a long value where the two begin to differ."""
    if value is None:
        return "(not there)"
    if one is None or other is None:
        return value[:WIDEST]
    same = len(os.path.commonprefix([one, other]))
    start = max(0, same - WIDEST // 3)
    return f"{'…' if start else ''}{value[start : start + WIDEST]}"


def counts(names, bad):
    """One line a kind of fact."""
    kinds = collections.Counter(kind_of(name) for name in names)
    wrong = collections.Counter(kind_of(name) for name in bad)
    for kind, count in sorted(kinds.items()):
        note = f", {wrong[kind]} different" if wrong[kind] else ""
        yield f"{count:6} {kind}{note}"
