"""What is measured against what: `python -m benchmarks` stands two yardsticks beside the service and prints a table."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
