"""The scenarios, by what they break; importing this package fills the list of `faults.scenario`."""

from faults.scenarios import clients, clock, cluster, migration, processes, server, storage

__all__ = ["clients", "clock", "cluster", "migration", "processes", "server", "storage"]
