"""Ways out of a sandbox, as programs: each says ESCAPED for what works."""

#: What every attack may use. `tries` says ESCAPED if an act works.
TOOLS = """
import ctypes, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def tries(*acts):
    for act in acts:
        try:
            got = act()
        except Exception as error:
            print("no:", type(error).__name__)
        else:
            print("ESCAPED", got)
def call(name, *args):
    got = getattr(libc, name)(*args)
    if got < 0: raise OSError(ctypes.get_errno(), name)
    return got
"""

ATTACKS = {
    "sockets": """
        tries(socket.socket, lambda: socket.socket(socket.AF_UNIX), lambda: socket.socket(socket.AF_NETLINK),
              lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), lambda: call("socket", 40, 1, 0),
              lambda: call("syscall", 41 if os.uname().machine == "x86_64" else 198, 2, 1, 0))
        """,
    "the network outside": """
        tries(lambda: socket.create_connection(("192.0.2.1", 80), 1), lambda: socket.create_connection(("::1", 80), 1))
        """,
    "names": """
        tries(lambda: socket.getaddrinfo("example.com", 80), lambda: socket.gethostbyname("example.com"))
        """,
    "passwords of the machine": """
        tries(*(lambda path=path: open(path).read() for path in ("/etc/shadow", "/scratch/../etc/shadow")))
        """,
    "other processes": """
        tries(lambda: os.listdir("/proc"), lambda: open("/proc/self/environ").read(), lambda: os.listdir("/sys"),
              lambda: call("mount", b"proc", b"/scratch", b"proc", 0, None))
        """,
    "writing outside the folder": """
        tries(*(lambda path=path: open(path, "w") for path in (
                  "/x", "/main.py", "/tmp/x", "/dev/x", "/python/x", "/python/bin/python3", "/usr/lib/x", "/root/x")),
              lambda: os.mkdir("/tmp"), lambda: os.chmod("/", 0o777), lambda: os.unlink("/main.py"),
              lambda: os.rename("/scratch", "/w"))
        """,
    "becoming somebody": """
        tries(lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0),
              lambda: os.setuid(65534))
        all_of_them = (ctypes.c_uint32 * 6)(*[2**32 - 1] * 6)
        tries(lambda: call("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), all_of_them))
        """,
    "programs that run as root": """
        places = ("/", "/scratch", "/usr/lib", "/lib", "/python/lib", "/python/bin/python3", "/dev/null")
        tries(*(lambda path=path: 1/0 if os.statvfs(path).f_flag & os.ST_NOSUID else path for path in places),
              lambda: os.execv("/bin/su", ["su"]), lambda: os.execv("/usr/bin/sudo", ["sudo"]))
        open("own", "wb").write(open("/python/bin/python3", "rb").read(1000))
        os.chmod("own", 0o4755)
        tries(lambda: os.execv("/scratch/own", ["own"]))
        """,
    "tracing": """
        tries(lambda: call("ptrace", 0, 0, None, None), lambda: call("ptrace", 16, 1, None, None),
              lambda: call("ptrace", 0x4206, 1, None, None), lambda: call("process_vm_readv", 1, None, 0, None, 0, 0),
              lambda: call("process_vm_writev", 1, None, 0, None, 0, 0))
        """,
    "namespaces": """
        flags = (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x08000000, 0x04000000, 0x02000000)
        tries(*(lambda flag=flag: call("unshare", flag) for flag in flags), lambda: call("setns", 0, 0))
        number = 56 if os.uname().machine == "x86_64" else 220
        tries(*(lambda flag=flag: call("syscall", number, flag | 17, None, None, None, None) for flag in flags))
        arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
        tries(lambda: call("syscall", 435, arguments, 88))
        """,
    "mounts": """
        tries(lambda: call("mount", b"none", b"/scratch", b"tmpfs", 0, None), lambda: call("umount2", b"/scratch", 2),
              lambda: call("mount", None, b"/", None, 32, None), lambda: os.chroot("/scratch"),
              lambda: call("pivot_root", b"/scratch", b"/scratch"), lambda: call("open_by_handle_at", 3, None, 0),
              *(lambda n=n: call("syscall", n, 0, 0, 0, 0, 0) for n in (425, 428, 430, 432, 434, 438, 442, 448, 460)))
        """,
    "system calls of the other kind": """
        if os.uname().machine == "x86_64":
            tries(lambda: call("syscall", 0x40000000 + 41, 2, 1, 0), lambda: call("syscall", 0x40000000 + 39))
        """,
    "the kernel": """
        tries(lambda: call("bpf", 0, None, 0), lambda: call("keyctl", 0, -3, 0), lambda: call("personality", 0),
              lambda: call("init_module", None, 0, b""), lambda: call("reboot", 0),
              lambda: call("sethostname", b"x", 1),
              lambda: call("add_key", b"user", b"k", b"v", 1, -3), lambda: call("klogctl", 3, None, 0),
              lambda: os.mknod("/scratch/mem", 0o20600, os.makedev(1, 1)), lambda: os.open("/dev/mem", os.O_RDONLY))
        """,
    "memory that no limit counts": """
        tries(lambda: os.memfd_create("x"), lambda: call("shmget", 0, 1 << 20, 0o1600),
              lambda: call("msgget", 0, 0o1600))
        """,
    "signals to others": """
        tries(*(lambda pid=pid: os.kill(pid, 9) for pid in range(3, 2000)), lambda: os.killpg(1, 0) and 1/0)
        os.kill(os.getppid(), 9); os.kill(os.getppid(), 15); os.kill(1, 19)
        tries(lambda: os.kill(-1, 0))
        """,
    "pipes of the jail": """
        tries(*(lambda fd=fd: os.fstat(fd) for fd in range(3, 1024)), lambda: os.write(0, b"x"))
        """,
    "the environment": """
        tries(lambda: [name for name in os.environ if name not in ("LD_LIBRARY_PATH", "LC_CTYPE")] or 1/0)
        """,
    "wider limits": """
        import resource
        tries(*(lambda kind=kind: resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2) for kind in (
            resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE)),
            lambda: os.nice(-5))
        """,
    "a terminal": """
        tries(lambda: open("/dev/tty"), lambda: os.open("/dev/ptmx", os.O_RDWR), os.openpty)
        """,
}  # fmt: skip
