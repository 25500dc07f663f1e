"""Reports: a new report is a file here and a route in `routers/reports.py`."""
