"""From the views of a URLconf to a short route table that leaves each as it is.

Rules
- The most special path comes first; paths with one answer below a common beginning are one prefix.
- `required` ends on a slash or is exact: what the app answers besides, such as a redirect to the
  path with its slash, stays the app's.
- Where views of one path differ, or nothing is known, it is `optional`: a missing token is the
  app's to judge.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_MANY = 3  # neighbours that make a prefix of their own worth its line

# What a route's path may hold as it is (gateway/config/route.py).
_UNWRITABLE = re.compile(r"[\x00-\x20\x7f\\?#%]|//|/\.\.?(?:/|$)")

Line = tuple[str, str]  # path and auth


@dataclass(slots=True)
class _Node:
    """A segment of paths: what is answered at it, and below it."""

    whole: dict[str, set[str]] = field(default_factory=dict)  # by "" and "/", how the path ends
    open: set[str] = field(default_factory=set)
    children: "dict[str, _Node]" = field(default_factory=dict)

    def kinds(self) -> set[str]:
        below = (child.kinds() for child in self.children.values())
        return self.open.union(*self.whole.values(), *below)

    def paths(self, path: str) -> Iterator[str]:
        """All paths here and below; `*` where more follows."""
        yield from (f"{path}{ending}" for ending in self.whole)
        yield from ("*" for _ in self.open)
        for segment, child in self.children.items():
            yield from child.paths(f"{path}/{segment}")

    def path(self, path: str) -> str:
        """The prefix of everything here, without more than is needed."""
        return path if "" in self.whole else f"{path}/"


def plan(views: Iterable[tuple[str, bool, str]]) -> list[Line]:
    """The lines of the table for views by path, whether more follows it, and auth.

    The last line is for everything else.
    """
    root = _Node()
    for path, is_open, auth in views:
        _put(root, path, is_open, auth)
    rest = "none" if root.open == {"none"} else "optional"
    return [*_below(root, "", rest), ("/", rest)]


def is_writable(path: str) -> bool:
    """Whether a path can stand in the file as it is."""
    return _UNWRITABLE.search(path) is None


def _put(root: _Node, path: str, is_open: bool, auth: str) -> None:
    unwritable = _UNWRITABLE.search(path)
    if unwritable is not None:
        path, is_open = path[: unwritable.start() + 1], True
    if is_open:
        path = path[: path.rindex("/") + 1]
    node = root
    for segment in path.strip("/").split("/"):
        node = node.children.setdefault(segment, _Node()) if segment else node
    if is_open:
        node.open.add(auth)
    else:
        node.whole.setdefault("/" if path.endswith("/") else "", set()).add(auth)


def _lines(node: _Node, path: str, inherited: str) -> Iterator[Line]:
    kinds = node.kinds()
    if len(kinds) == 1:
        (kind,) = kinds
        if kind != inherited:
            first, *more = node.paths(path)
            yield (node.path(path) if more or first == "*" else f"={first}", kind)
        return
    default = _default(node, inherited)
    yield from _below(node, path, default)
    if default != inherited:
        yield node.path(path), default


def _below(node: _Node, path: str, default: str) -> Iterator[Line]:
    for segment, child in sorted(node.children.items()):
        yield from _lines(child, f"{path}/{segment}", default)
    for ending, kinds in node.whole.items():
        kind = _one(kinds)
        if kind != default:
            yield f"={path}{ending}", kind


def _default(node: _Node, inherited: str) -> str:
    """What holds for all below that has no line of its own."""
    if node.open:
        return _one(node.open)
    neighbours = Counter(_one(child.kinds()) for child in node.children.values())
    commonest, number = neighbours.most_common(1)[0] if neighbours else (inherited, 0)
    return commonest if number >= _MANY else inherited


def _one(kinds: set[str]) -> str:
    return next(iter(kinds)) if len(kinds) == 1 else "optional"
