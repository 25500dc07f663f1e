"""What is measured against what: `python -m benchmarks` stands two yardsticks beside the service and prints a table."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

# tests/servers.py starts the private MariaDB; it is imported by the name under which the tests import it.
sys.path.append(str(ROOT / "tests"))
