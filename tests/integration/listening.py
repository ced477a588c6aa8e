"""Where a process listens, as the kernel tells."""

from __future__ import annotations

import os
from pathlib import Path


def listening(pid: int) -> list[str]:
    """Its TCP addresses as /proc has them ("0100007F:1538"), then the paths of its sockets."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1])
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) > 7 and fields[6] in inodes:
            found.append(fields[7])
    return found
