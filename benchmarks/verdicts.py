"""How the tables write figures, and whether a goal is met."""


def write_ms(seconds: float) -> str:
    """Write a time in milliseconds, ten characters wide."""
    return f"{seconds * 1e3:10.2f}"


def judge_at_least(ratio: float, goal: float) -> str:
    """Write a ratio, and whether it is as large as it should be."""
    return f"{ratio:.2f} {write_verdict(ratio >= goal)} >= {goal:.2f}"


def judge_at_most(ratio: float, goal: float) -> str:
    """Write a ratio, and whether it is as small as it should be."""
    return f"{ratio:.2f} {write_verdict(ratio <= goal)} <= {goal:.2f}"


def write_verdict(is_met: bool) -> str:  # noqa: FBT001
    """Write whether a goal is met."""
    return "ok" if is_met else "NO"
