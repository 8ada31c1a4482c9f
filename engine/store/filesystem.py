"""What the filesystem below a path can take: a full disk nothing, one on a network no WAL.

WAL keeps its index in shared memory, which hosts on a network do not share.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from engine.errors import QcrdError

NETWORK_TYPES = frozenset(
    """
    nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs afpfs ncpfs afs openafs lustre gpfs beegfs ceph glusterfs orangefs pvfs2
    panfs ocfs2 gfs2 davfs davfs2 webdav curlftpfs sshfs macfuse_sshfs osxfuse_sshfs fuse.sshfs fuse.s3fs
    fuse.rclone fuse.gcsfuse fuse.glusterfs fuse.ceph fuse.juicefs fuse.goofys fuse.mountpoint-s3 fuse.davfs
    fuse.davfs2 fuse.curlftpfs fuse.beegfs fuse.moosefs fuse.mfs fuse.seaweedfs
    """.split()
)


def mounted_filesystems() -> str:
    """The system's mount table as text (/proc/mounts on Linux, `mount` elsewhere); empty where there is none."""
    try:
        if sys.platform == "linux":
            return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        found = subprocess.run(["mount"], capture_output=True, text=True, timeout=5, check=False)
        return found.stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no table to read: nothing is known against the path


def network_filesystem(path: Path, mounts: str | None = None) -> str | None:
    """The type of the network filesystem that holds `path` (which need not exist yet), or None where it is local.

    `mounts` is a mount table in the format of /proc/mounts or of macOS's `mount`; read from the system where None.
    """
    table = mounted_filesystems() if mounts is None else mounts
    target = path.resolve()
    best: tuple[int, str, str] = (-1, "", "")
    for line in table.splitlines():
        entry = _entry(line)
        if entry is None:
            continue
        point, kind, options = entry
        mount_point = Path(point)
        if target.is_relative_to(mount_point) and len(mount_point.parts) >= best[0]:  # a later mount covers an earlier
            best = (len(mount_point.parts), kind, options)
    _, kind, options = best
    if kind.lower() in NETWORK_TYPES:
        return kind
    # 9p is the root of some sandboxes and sound there; over a wire, or as WSL's window on Windows drives, it is not.
    if kind == "9p" and re.search(r"trans=(tcp|rdma)|aname=drvfs", options):
        return kind
    return None


def refuse_network_filesystem(path: Path, mounts: str | None = None) -> None:
    """Raise QcrdError where `path` is on a network filesystem; the line names the type and the remedy."""
    kind = network_filesystem(path, mounts)
    if kind is not None:
        raise QcrdError(
            f"{path} is on a network filesystem ({kind}), where SQLite's write-ahead log can corrupt the database: "
            "put it on a local disk with --db FILE or QCRD_DB=FILE"
        )


def is_full(path: Path) -> bool:
    """Whether the disk that holds `path` has less room left than a batch of rows wants (1 MB)."""
    try:
        found = os.statvfs(path.absolute().parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < 1_000_000


def _entry(line: str) -> tuple[str, str, str] | None:
    """(mount point, type, options) of one line of a mount table."""
    apple = re.fullmatch(r".+? on (/.*) \(([^,)]+)(.*)\)", line)
    if apple:
        return apple[1], apple[2].strip(), apple[3]
    fields = line.split()
    if len(fields) < 4 or not fields[1].startswith("/"):
        return None
    point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[1])  # a blank is written \040
    return point, fields[2], fields[3]
