"""Labels of text and of whoever has read it: they only get worse."""

INTEGRITY = ("owner", "playbook", "own-data", "outside")
SECRECY = ("public", "private", "secret")


def join(*labels: str) -> str:
    """The worst integrity of all: that of whoever has read all of it. Raises ValueError for an unknown label."""
    return max(labels, key=INTEGRITY.index)


def most_secret(*labels: str) -> str:
    """The highest secrecy of all. Raises ValueError for an unknown label."""
    return max(labels, key=SECRECY.index)


def known(integrity: str, accepts: str, *secrecy: str) -> bool:
    """Whether these are labels at all: two of integrity, the others of secrecy."""
    return {integrity, accepts} <= set(INTEGRITY) and set(secrecy) <= set(SECRECY)


def at_worst(label: str, floor: str) -> bool:
    """Whether a label is no worse than `floor`. Raises ValueError for an unknown label."""
    return INTEGRITY.index(label) <= INTEGRITY.index(floor)
