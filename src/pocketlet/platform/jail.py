"""The program that becomes the sandbox: started by `sandbox` as `python -I -S jail.py`, and never imported.

It uses the standard library alone, as it runs without Pocketlet's packages. It reads one request from its input, shuts
itself in, runs the code as a child, and writes one reply. Every step of the shutting-in must succeed and is tried out
at the end, or it refuses. It ends the code when its input ends, which is when Pocketlet is gone.
"""

import ctypes
import json
import os
import platform
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# linux/sched.h, linux/mount.h, linux/prctl.h
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NEW_ANY = NEWNS | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | 0x2000000 | 0x80  # and cgroup, time
NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE, DETACH = 2, 4, 8, 0x1000, 0x4000, 0x40000, 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_RECURSIVE, AT_FDCWD = 1, 2, 4, 0x8000, -100
SET_DUMPABLE, SET_SECCOMP, GET_SECCOMP, CAPBSET_DROP, SET_NO_NEW_PRIVS, GET_NO_NEW_PRIVS = 4, 22, 21, 24, 38, 39
SET_PDEATHSIG, CAP_AMBIENT, CAP_AMBIENT_CLEAR, MOUNT_SETATTR = 1, 47, 4, 442
#: From here on system calls have the same number everywhere (io_uring, new mounts, pidfd, clone3 …): none is there.
FIRST_SHARED_CALL = 424
CALLS = {  # asm/unistd.h: on x86_64 and on aarch64; -1 where there is none
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "memfd_create": (319, 279), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "sethostname": (170, 161), "setdomainname": (171, 162),
    "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "setuid": (105, 146), "setgid": (106, 144),
    "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149),
    "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91),
    "personality": (135, 92), "kcmp": (312, 272), "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "io_setup": (206, 0), "vhangup": (153, 58),
}  # fmt: skip
#: machine: its column in CALLS, linux/audit.h's name for it, its number of clone
MACHINES = {"x86_64": (0, 0xC000003E, 56), "aarch64": (1, 0xC00000B7, 220)}
ROOT = Path(
    "/sys"
)  # any folder that is everywhere and holds nothing that is needed: the new root stands on it for a moment
EPERM, ENOSYS = 1, 38
DEVICES = ("null", "zero", "urandom")
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
libc = ctypes.CDLL(None, use_errno=True)


class Refusal(Exception):
    """A step of the shutting-in did not work: it says which, and why."""


def did(step: str, result: int) -> int:
    """The result of a call into libc. Raises Refusal if it failed."""
    if result < 0:
        raise Refusal(f"{step}: {os.strerror(ctypes.get_errno())}")
    return result


def number(name: str) -> int:
    """A system call's number on this machine."""
    return CALLS[name][MACHINES[platform.machine()][0]]


def take(size: int) -> bytes:
    """So many bytes of the input."""
    parts: list[bytes] = []
    while size:
        part = os.read(0, min(size, 1 << 20))
        if not part:
            sys.exit("The request ended too early.")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def give(head: dict[str, Any], *blobs: bytes) -> None:
    """The reply: its head with a length before it, then bytes."""
    data = json.dumps(head).encode()
    left = memoryview(b"".join((len(data).to_bytes(4, "big"), data, *blobs)))
    while left:
        left = left[os.write(1, left) :]


def leave_everyone() -> None:
    """New namespaces; for an ordinary user, one of users first, which gives the right to make the others."""
    ordinary = os.geteuid() != 0
    uid, gid = os.geteuid(), os.getegid()
    apart = NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET | (NEWUSER if ordinary else 0)
    kinds = [Path("/proc/self/ns", name) for name in ("mnt", "uts", "ipc", "net")]
    before = {kind.readlink() for kind in kinds}
    did("namespaces", libc.unshare(apart))
    if before & {kind.readlink() for kind in kinds}:
        raise Refusal("namespaces: not all are new")
    if ordinary:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path("/proc/self", name).write_text(text, encoding="ascii")


def mount(what: str, where: Path, kind: bytes | None, flags: int, options: str = "") -> None:
    """mount(2). Raises Refusal."""
    names = (os.fsencode(what), os.fsencode(where), kind, ctypes.c_ulong(flags), options.encode() or None)
    did(f"mounting {where}", libc.mount(*names))


def lock(where: Path, attributes: int, below: int = AT_RECURSIVE) -> None:
    """Adds attributes to a mount and all below it. Raises Refusal."""
    asked = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(asked))
    result = libc.syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(where), below, ctypes.byref(asked), size)
    did(f"locking {where} (Linux 5.12 can)", result)


def show(source: Path, name: str, attributes: int) -> None:
    """A file or folder of the machine, to be read only, under a name in the new root."""
    target = ROOT / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    mount(str(source), target, None, BIND | REC)
    lock(target, attributes)


def new_root(python: Path, stdlib: Path, owner: int, limits: dict[str, int]) -> None:
    """A root with the interpreter, its libraries, three devices and an empty folder: nothing else of the machine."""
    mount("none", Path("/"), None, REC | PRIVATE)
    mount("none", ROOT, b"tmpfs", NOSUID | NODEV, "mode=755,size=4m")
    show(python, "python/bin/python3", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)
    show(stdlib.parent, "python/lib", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)
    for name in LIBRARIES:
        if Path(name).is_symlink():
            (ROOT / name[1:]).symlink_to(Path(name).readlink())
        elif Path(name).is_dir():
            show(Path(name), name[1:], ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)
    for name in DEVICES:
        show(Path("/dev", name), f"dev/{name}", ATTR_RDONLY | ATTR_NOSUID)
    (ROOT / "scratch").mkdir()
    options = f"mode=700,uid={owner},gid={owner},size={limits['scratch']},nr_inodes={limits['inodes']}"
    mount("none", ROOT / "scratch", b"tmpfs", NOSUID | NODEV | NOEXEC, options)


def move_in(code: bytes) -> None:
    """The new root becomes the root, and can't be written to; the old one is gone."""
    os.chdir(ROOT)
    Path("main.py").write_bytes(code)
    did("the new root", libc.syscall(number("pivot_root"), b".", b"."))
    did("leaving the old root", libc.umount2(b".", DETACH))
    os.chdir("/")
    lock(Path("/"), ATTR_RDONLY, below=0)


def drop_rights(owner: int) -> None:
    """No capability, and no way to one; of root, another user that nobody else is."""
    capability = 0
    while libc.prctl(CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(owner, owner, owner)
        os.setresuid(owner, owner, owner)
    head, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    did("capabilities", libc.capset(head, none))
    libc.prctl(CAP_AMBIENT, CAP_AMBIENT_CLEAR, 0, 0, 0)
    did("no new privileges", libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    did("no dumps", libc.prctl(SET_DUMPABLE, 0, 0, 0, 0))
    did("death with the parent", libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))  # a change of user forgets it


def filter_calls() -> None:
    """A seccomp filter: what is refused answers EPERM, what is newer than this file ENOSYS. Raises Refusal."""
    column, machine, clone = MACHINES[platform.machine()]
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, error = 0x7FFF0000, 0x80000000, 0x00050000
    rules = [(load, 0, 0, 4), (equal, 1, 0, machine), (answer, 0, 0, kill), (load, 0, 0, 0)]
    rules += [(at_least, 0, 1, FIRST_SHARED_CALL), (answer, 0, 0, error | ENOSYS)]  # and x32, whose numbers are huge
    for numbers in CALLS.values():
        if numbers[column] >= 0:
            rules += [(equal, 0, 1, numbers[column]), (answer, 0, 0, error | EPERM)]
    rules += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 0, 1, NEW_ANY & ~0x80), (answer, 0, 0, error | EPERM)]
    rules.append((answer, 0, 0, allow))
    packed = b"".join(
        code.to_bytes(2, sys.byteorder) + bytes((yes, no)) + value.to_bytes(4, sys.byteorder)
        for code, yes, no, value in rules
    )

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("rules", ctypes.c_char_p))

    program = Program(len(rules), packed)
    did("the filter of system calls", libc.prctl(SET_SECCOMP, 2, ctypes.byref(program), 0, 0))


def denied(act: Callable[[], object]) -> bool:
    """Whether the system refuses this."""
    try:
        act()
    except OSError:
        return True
    return False


def check() -> None:
    """Tries what must not work, before any of the code runs. Raises Refusal with the first that does."""
    root, usr = {"dev", "lib", "lib64", "main.py", "python", "usr", "scratch"}, {"lib", "lib64"}
    readable = ["/", "/python/bin/python3", "/python/lib", *(name for name in LIBRARIES if Path(name).is_dir())]
    found = {
        "it is not the first process of its own": os.getpid() != 1,
        "it still is root": 0 in (*os.getresuid(), *os.getresgid()),
        "it may gain rights": libc.prctl(GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 or not denied(lambda: os.setuid(0)),
        "system calls are not filtered": libc.prctl(GET_SECCOMP, 0, 0, 0, 0) != 2,
        "it can open sockets": libc.socket(1, 1, 0) >= 0 or libc.socket(2, 1, 0) >= 0,
        "it can make namespaces": libc.unshare(NEWUSER) == 0,
        "it can mount": libc.mount(b"none", b"/scratch", b"tmpfs", ctypes.c_ulong(0), None) == 0,
        "it sees more of the machine": not {path.name for path in Path("/").iterdir()} <= root,
        "it sees more of /usr": not {path.name for path in Path("/").glob("usr/*")} <= usr,
        "it can write outside its folder": any(not os.statvfs(path).f_flag & os.ST_RDONLY for path in readable),
        "programs can run as their owner": any(
            not os.statvfs(path).f_flag & os.ST_NOSUID for path in [*readable, "/scratch"]
        ),
        "it can't write in its folder": denied(Path("/scratch/new").touch) or denied(Path("/scratch/new").unlink),
    }
    for name, is_so in found.items():
        if is_so:
            raise Refusal(f"self-check: {name}")


def start(limits: dict[str, int], out: int, err: int) -> int:
    """The child that runs the code; its process id. Raises Refusal if it could not be limited or started."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become_code(limits, out, err, tell)
        finally:
            os.write(3, str(sys.exc_info()[1]).encode())
            os._exit(127)
    for end in (tell, out, err):
        os.close(end)
    if problem := os.read(told, 1000):
        raise Refusal(f"limits: {problem.decode('utf-8', 'replace')}")
    os.close(told)
    return child


def become_code(limits: dict[str, int], out: int, err: int, tell: int) -> None:
    """In the child: limits, and then nothing of this program is left. If it fails, 3 is where to say so."""
    os.setsid()
    empty = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((empty, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    os.dup2(tell, 3, inheritable=False)
    os.closerange(4, 256)
    os.chdir("/scratch")
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, limits["cpu"], limits["cpu"] + 1),
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["file_size"], limits["file_size"]),
        (resource.RLIMIT_NPROC, limits["processes"] + 1, limits["processes"] + 1),  # and the one that waits for them
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    # -u: what it has printed is there if it is stopped
    command = ["/python/bin/python3", "-I", "-S", "-B", "-u", "-X", "utf8", "/main.py"]
    os.execve(command[0], command, {"LD_LIBRARY_PATH": "/python/lib"})  # noqa: S606


class Watch:
    """The child while it runs: what it says, up to the cap, and why it was stopped, if it was."""

    def __init__(self, child: int, pipes: tuple[int, int], limits: dict[str, int]) -> None:
        self.child = child
        self.said = {pipe: bytearray() for pipe in pipes}
        self.limits = limits
        self.code: int | None = None
        self.stopped = ""

    def until_end(self) -> None:
        """Until the child ends or is stopped; then every process in here is killed."""
        deadline = time.monotonic() + self.limits["seconds"]
        open_pipes = set(self.said)
        while self.code is None and not self.stopped:
            ready, _, _ = select.select([0, *open_pipes], [], [], 0.02)
            if 0 in ready:
                os._exit(1)  # Pocketlet is gone, and with this process all others in here
            open_pipes -= {pipe for pipe in ready if not self._read(pipe)}
            self._reap(os.WNOHANG)
            if self.code is None and time.monotonic() > deadline:
                self.stopped = self.stopped or "time"
        if not denied(lambda: os.kill(-1, signal.SIGKILL)):
            self._reap(0)
        for pipe in open_pipes:
            while self._read(pipe):
                pass

    def _read(self, pipe: int) -> bool:
        part = os.read(pipe, 1 << 16)
        room = self.limits["output"] - len(self.said[pipe])
        self.said[pipe] += part[:room]
        if len(part) > room:
            self.stopped = self.stopped or "output"
        return bool(part) and len(part) <= room

    def _reap(self, how: int) -> None:
        try:
            while (found := os.waitpid(-1, how))[0]:
                if found[0] == self.child:
                    self.code = os.waitstatus_to_exitcode(found[1])
        except ChildProcessError:
            pass  # none is left

    @property
    def why(self) -> str:
        """time, output, cpu, killed (by the kernel: out of memory or of processor time), or nothing."""
        by_kernel = {-signal.SIGXCPU: "cpu", -signal.SIGKILL: "killed"}
        return self.stopped or by_kernel.get(self.code or 0, "")


def plain(path: Path) -> bytes | None:
    """What is in a plain file; nothing for links, pipes, and what can't be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read() if stat.S_ISREG(os.fstat(file).st_mode) else None


def made(given: dict[str, bytes], most: int) -> Iterator[tuple[str, bytes]]:
    """Plain files of the folder that are new or changed; links are not followed."""
    count = 0
    for folder, _, names in os.walk("/scratch"):
        for name in sorted(names):
            content = plain(path := Path(folder, name))
            shown = str(path.relative_to("/scratch")).encode("utf-8", "replace").decode()
            if content is not None and given.get(shown) != content and count < most:
                count += 1
                yield shown, content


def inside(request: dict[str, Any], code: bytes, files: dict[str, bytes], owner: int) -> None:
    """The first process of the new world: shuts itself in, runs the code, replies."""
    limits = request["limits"]
    new_root(Path(request["python"]), Path(request["stdlib"]), owner, limits)
    move_in(code)
    drop_rights(owner)
    filter_calls()
    check()
    for name, content in files.items():
        Path("/scratch", name).write_bytes(content)
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    watch = Watch(start(limits, out_end, err_end), (out, err), limits)
    watch.until_end()
    found = dict(made(files, limits["files"]))
    said = [bytes(watch.said[pipe]) for pipe in (out, err)]
    head = {"exit_code": watch.code, "stopped": watch.why, "sizes": [len(text) for text in said]}
    give(head | {"files": [[name, len(content)] for name, content in found.items()]}, *said, *found.values())


def owner_of_code() -> int:
    """Whom the code runs as: for root, a number that no account has and no other sandbox of now."""
    return os.geteuid() or 2_000_000_000 + os.getpid()


def main() -> None:
    """One request, one reply."""
    request = json.loads(take(int.from_bytes(take(4), "big")))
    code, *contents = [take(size) for size in request["sizes"]]
    files = dict(zip(request["files"], contents, strict=True))
    os.umask(0o022)
    owner = owner_of_code()
    first = 0
    try:
        if platform.machine() not in MACHINES:
            raise Refusal(f"the filter of system calls does not know the machine {platform.machine()}")
        leave_everyone()
        first = os.fork()
        if first == 0:
            inside(request, code, files, owner)
    except (Refusal, OSError) as error:
        give({"refused": str(error)})
    if first == 0:
        os._exit(0)
    os.waitpid(first, 0)


if __name__ == "__main__":
    main()
