"""Benchmarks: `python -m benchmarks` compares the service with two applications, floor and textbook."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
