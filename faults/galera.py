"""A Galera cluster of three MariaDB servers on the loopback interface, each of which can be killed and comes back."""

import re
import secrets
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from faults.databases import DURABLE, GALERA, Server, is_root
from tests.support.servers import NoServer, PrivateMariaDB, find_program, free_port, make_plain_engine

NODES: Final = 3
UNPRIVILEGED: Final = "--user=nobody"
PROVIDERS: Final = (
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib/libgalera_smm.so",
)
# A server logs where its data ends: a cluster's id, and the number of the last transaction.
POSITION: Final = re.compile(r"Recovered position:?\s+([0-9a-f-]{36}:(-?\d+))")


class Node(PrivateMariaDB):
    """A node; it is ready when it is a member of the cluster's primary component and synced."""

    def __init__(self, provider: str, group_port: int, peers: Sequence[int], password: str) -> None:
        self.group_port = group_port
        self._peers = peers
        self._incremental_port, self._snapshot_port = free_port(), free_port()
        self._cluster_options = [
            "--wsrep-on=ON",
            f"--wsrep-provider={provider}",
            "--wsrep-cluster-name=faults",
            f"--wsrep-node-name=node{peers.index(group_port)}",
            "--wsrep-node-address=127.0.0.1",
            "--wsrep-sst-method=rsync",
            f"--wsrep-sst-receive-address=127.0.0.1:{self._snapshot_port}",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            f"--wsrep-provider-options={self._write_provider_options()}",
        ]
        # The first one makes the accounts, which the others get with its data.
        self._bootstraps = self._makes_accounts = group_port == peers[0]
        super().__init__(*DURABLE, password=password)

    def start(self) -> None:
        """Start it with its own data, of which it tells the cluster; alone it waits for the others."""
        if is_root():
            subprocess.run(["chown", "-R", "nobody", str(self._path)], check=True)
        position = self.recover_position()
        address = "" if self._bootstraps else ",".join(f"127.0.0.1:{port}" for port in self._peers)
        start = [f"--wsrep-start-position={position}"] if position else []
        new = ["--wsrep-new-cluster"] if self._bootstraps else []
        self._own_options = (
            *DURABLE,
            *self._cluster_options,
            f"--wsrep-cluster-address=gcomm://{address}",
            *start,
            *new,
        )
        super().start()
        self._bootstraps = self._makes_accounts = False

    def _options(self) -> list[str]:
        # A node that joins cannot execute statements before it has the data. As root it could not get them: the daemon
        # of rsync, which receives them, then writes as another user.
        options = [it for it in super()._options() if self._makes_accounts or not it.startswith("--init-file")]
        return [UNPRIVILEGED if it == "--user=root" else it for it in options]

    def recover_position(self) -> str:
        """Return where its data ends, as Debian's service does before each start; empty for a new node."""
        self._own_options = (*DURABLE, *self._cluster_options, "--wsrep-recover")
        command = [find_program("mariadbd"), *self._options()]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._path, check=False)
        found = POSITION.findall(done.stderr + done.stdout)
        return str(found[-1][0]) if found and int(found[-1][1]) >= 0 else ""

    def bootstrap_next(self) -> None:
        """Let it form a new cluster at its next start: it is the one with the newest data."""
        self._bootstraps = True
        state = self._path / "data" / "grastate.dat"
        state.write_text(state.read_text().replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))

    def _write_provider_options(self) -> str:
        options = {
            "base_host": "127.0.0.1",
            "base_port": self.group_port,
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self._incremental_port}",
            "gcache.size": "32M",
        }
        return ";".join(f"{name}={value}" for name, value in options.items())

    @property
    def is_synced(self) -> bool:
        """Whether it is a member of the cluster and has all its data."""
        return self._read_status("wsrep_local_state_comment") == "Synced"

    @property
    def sees_all(self) -> bool:
        """Whether it is in touch with all nodes of the cluster."""
        return self._read_status("wsrep_cluster_size") == str(NODES)

    def _answers(self) -> bool:
        return self.is_synced

    def _read_status(self, name: str) -> str:
        with suppress(OperationalError), make_plain_engine(self.server_url).connect() as connection:
            return str(connection.execute(text("SHOW STATUS LIKE :name"), {"name": name}).one()[1])
        return ""


class Cluster:
    """Three nodes; the first is the one of the service, or of the first of two."""

    def __init__(self) -> None:
        provider = find_provider()
        ports = [free_port() for _ in range(NODES)]
        self._stack = ExitStack()
        self.nodes: list[Node] = []
        password = secrets.token_hex(16)
        try:
            for port in ports:
                node = Node(provider, port, ports, password)
                self._stack.callback(node.close)
                self.nodes.append(node)
        except BaseException:
            self._stack.close()
            raise

    def restart(self) -> None:
        """Start all nodes after all were killed: first the one whose data is the newest."""
        ends = {node: int(node.recover_position().rpartition(":")[2] or -1) for node in self.nodes}
        for node in sorted(ends, key=ends.__getitem__, reverse=True):
            if ends[node] == max(ends.values()) and not any(other.process.alive for other in self.nodes):
                node.bootstrap_next()
            node.start()

    def wait_until_back(self, node: Node) -> None:
        """Wait until a node that stood still is a member again; raise NoServer after a minute.

        Right after it was continued it takes itself for one, so another node is asked.
        """
        other = next(it for it in self.nodes if it is not node)
        other.process.wait_until(lambda: other.sees_all)
        node.process.wait_until(lambda: node.is_synced)

    def close(self) -> None:
        """Kill all nodes and delete their data."""
        self._stack.close()


class ClusterDatabase(Server):
    """A database of the cluster."""

    kind = GALERA

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.nodes[0], cluster.nodes)
        self.cluster = cluster

    def wait_until_back(self) -> None:
        """Wait until the service's node, which stood still, is a member of the cluster again."""
        self.cluster.wait_until_back(self.cluster.nodes[0])


def find_provider() -> str:
    """Return the path of Galera's library; raise NoServer if it is not installed."""
    found = next((path for path in PROVIDERS if Path(path).is_file()), None)
    if found is None:
        raise NoServer("Galera is not installed: its library is in Debian's package galera-4")
    return found
