"""Turn this process into a server that ends with its parent and does not run as root.

Run by path with the standard library only: `python -I -S launch.py --parent PID --death-signal N [--drop FOLDER] -- ARGV…`. The
pid stays the same, because the server is exec'd. It is a program of its own rather than a `preexec_fn`, which is not safe in
processes that have threads, such as a notebook's kernel.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def main(argv: list[str]) -> None:
    options, command = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    value = dict(zip(options[::2], options[1::2], strict=True))
    namespaces = value.get("--namespaces", "yes") == "yes"
    if value.get("--drop") and os.geteuid() == 0:
        drop_root(value["--drop"], namespaces=namespaces)
    elif value.get("--drop") and nameless() and namespaces and _namespaces_allowed():
        _enter_namespace()
    # Last, because a change of credentials clears it.
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, int(value["--death-signal"]), 0, 0, 0)
    if os.getppid() != int(value["--parent"]):
        sys.exit("the process that asked for this server is gone")
    try:
        os.execvpe(command[0], command, os.environ)  # noqa: S606 - no shell is wanted
    except OSError as exc:
        sys.exit(f"{command[0]}: {exc.strerror}")


def drop_root(folder: str, *, namespaces: bool = True) -> None:
    """Stop being uid 0, which PostgreSQL refuses, and still be able to read what root may read.

    A user namespace maps us to nobody while files stay root's. Where the kernel or a container forbids that, we become nobody
    for true, with the data given to nobody and the right to pass folders that only root may enter.
    """
    if sys.platform == "linux" and namespaces and _namespaces_allowed():
        _give(folder, 0)
        _enter_namespace()
        return
    _give(folder, NOBODY)
    libc = _libc()
    if sys.platform == "linux":
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setregid(NOBODY, NOBODY)
    os.setreuid(NOBODY, NOBODY)
    if sys.platform == "linux":
        _keep_file_rights(libc)


def nameless() -> bool:
    """Say whether our uid has no name, as in containers with a uid by lot: PostgreSQL's initdb refuses such a one."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


def _namespaces_allowed() -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            _enter_namespace()
        except OSError:
            os._exit(1)
        os._exit(0 if os.geteuid() == NOBODY else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _enter_namespace() -> None:
    outside = os.geteuid()
    if sys.platform != "linux" or _libc().unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with open("/proc/self/uid_map", "w") as file:
        file.write(f"{NOBODY} {outside} 1")


def _give(folder: str, uid: int) -> None:
    if not os.path.exists(folder) or os.stat(folder).st_uid == uid:
        return
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), uid, -1, follow_symlinks=False)
    os.chown(folder, uid, -1)


def _keep_file_rights(libc: ctypes.CDLL) -> None:
    """Keep, of root's capabilities, the two that let a server reach its files below folders of root's."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    libc.capget(header, data)
    keep = data[1] & (1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    libc.capset(header, (ctypes.c_uint32 * 6)(keep, keep, keep, 0, 0, 0))
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if keep & 1 << capability:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main(sys.argv[1:])
