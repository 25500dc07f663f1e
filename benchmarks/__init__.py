"""Benchmarks: `python -m benchmarks` measures the service beside two yardsticks, floor and textbook; prints a table."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
