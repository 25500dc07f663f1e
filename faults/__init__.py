"""Faults: `python -m faults` breaks what the service stands on, while clients write, and judges what became of it."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
