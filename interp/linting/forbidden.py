"""What a workflow must not call or read, by its full name: one table for the lint and for the runtime guard. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from interp.linting.codes import CODES

__all__ = ["CALLS", "READS", "Rule", "called", "read"]


@attrs.frozen
class Rule:
    """That something is forbidden.

    Attributes:
        code: The id of its code.
        cure: What to write instead.
        arguments: With so many arguments it is harmless: `gmtime(0)`, `Random(3)`; None for never.
    """

    code: str
    cure: str
    arguments: int | None = None


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _rules(code: str, names: str, *, cure: str = "", arguments: int | None = None) -> Iterable[tuple[str, Rule]]:
    rule = Rule(code, cure or CODES[code].cure, arguments)
    return ((name, rule) for name in names.split())


_RANDOM = (
    "random randint randrange uniform choice choices shuffle sample gauss betavariate binomialvariate expovariate "
    "gammavariate getrandbits lognormvariate normalvariate paretovariate randbytes seed setstate getstate triangular "
    "vonmisesvariate weibullvariate"
)
_PATH = (
    "read_text read_bytes write_text write_bytes open exists is_file is_dir is_symlink is_mount stat lstat iterdir "
    "glob rglob walk mkdir rmdir touch unlink rename replace symlink_to hardlink_to chmod resolve samefile owner group "
    "readlink copy move"
)
_OS = (
    "listdir scandir walk stat lstat mkdir makedirs remove unlink rmdir removedirs rename renames replace open read "
    "write fsync access chmod chown link symlink readlink truncate system popen kill fork execv execve execvp spawnv "
    "utime"
)
_LEVELS = "debug info warning error exception critical log"
_OS_ENVIRONMENT = (
    "getenv getenvb putenv unsetenv getcwd getcwdb chdir getpid getppid getuid geteuid getgid getlogin cpu_count "
    "sched_getaffinity uname times getloadavg"
)

# A name that ends in .* stands for everything in a module.
CALLS: dict[str, Rule] = dict(
    [
        *_rules(
            "clock",
            "time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns "
            "time.process_time time.process_time_ns time.thread_time time.thread_time_ns time.clock_gettime "
            "time.clock_gettime_ns datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today "
            "datetime.date.today pendulum.now pendulum.today arrow.now arrow.utcnow django.utils.timezone.now",
        ),
        *_rules("clock", "time.gmtime time.localtime time.ctime time.asctime", arguments=1),
        *_rules("clock", "time.strftime", arguments=2),
        *_rules("clock", "pandas.Timestamp.now pandas.Timestamp.today pandas.Timestamp.utcnow"),
        *_rules(
            "environment",
            "datetime.datetime.fromtimestamp",
            arguments=2,
            cure="datetime.fromtimestamp(seconds, UTC): without a time zone it takes that of the machine",
        ),
        *_rules(
            "environment",
            "datetime.date.fromtimestamp",
            cure="datetime.fromtimestamp(seconds, UTC).date(): this one takes the time zone of the machine",
        ),
        *_rules("sleep", "time.sleep asyncio.sleep"),
        *_rules("random", " ".join(f"random.{name}" for name in _RANDOM.split())),
        *_rules("random", "random.Random", arguments=1),
        *_rules("random", "random.SystemRandom os.urandom os.getrandom secrets.*"),
        *_rules("random", " ".join(f"random.SystemRandom.{name}" for name in _RANDOM.split())),
        *_rules("random", "numpy.random.*"),
        *_rules(
            "random",
            "numpy.random.default_rng numpy.random.RandomState numpy.random.SeedSequence numpy.random.PCG64 "
            "numpy.random.PCG64DXSM numpy.random.MT19937 numpy.random.Philox numpy.random.SFC64",
            arguments=1,
        ),
        *_rules("uuid", "uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 uuid.getnode ulid.new"),
        *_rules("environment", " ".join(f"os.{name}" for name in _OS_ENVIRONMENT.split())),
        *_rules(
            "environment",
            "os.path.expanduser os.path.expandvars os.path.abspath os.path.realpath pathlib.Path.cwd pathlib.Path.home "
            "pathlib.PathBase.cwd pathlib.PathBase.home pathlib.Path.expanduser pathlib.Path.absolute getpass.getuser "
            "socket.gethostname socket.getfqdn locale.* platform.* sys.getsizeof sys.getrefcount gc.*",
        ),
        *_rules("io", "io.open os.path.exists os.path.isfile os.path.isdir os.path.getsize os.path.getmtime"),
        *_rules("io", " ".join(f"os.{name}" for name in _OS.split())),
        *_rules("io", " ".join(f"pathlib.{kind}.{name}" for kind in ("Path", "PathBase") for name in _PATH.split())),
        *_rules(
            "io",
            "socket.* subprocess.* requests.* httpx.* urllib3.* urllib.request.* http.client.* smtplib.* ftplib.* "
            "sqlite3.* shutil.* tempfile.* boto3.* psycopg.* psycopg2.* redis.* pymongo.* lmdb.* aiohttp.*",
        ),
        *_rules("io", "builtins.open builtins.input"),
        *_rules("output", "builtins.print sys.stdout.write sys.stderr.write warnings.warn"),
        *_rules("output", " ".join(f"logging.{name}" for name in _names(_LEVELS))),
        *_rules(
            "output",
            " ".join(f"logging.Logger.{name}" for name in _names(_LEVELS)),
        ),
        *_rules(
            "concurrency", "threading.* _thread.* asyncio.* multiprocessing.* concurrent.futures.* queue.* signal.*"
        ),
        *_rules("identity", "builtins.id builtins.hash"),
    ]
)

# Harmless though their module is not: they only make values, or do arithmetic.
_HARMLESS = frozenset(
    _names(
        "asyncio.CancelledError asyncio.TimeoutError asyncio.iscoroutinefunction concurrent.futures.TimeoutError "
        "subprocess.CalledProcessError subprocess.TimeoutExpired subprocess.list2cmdline requests.Timeout "
        "socket.timeout socket.gaierror socket.inet_aton socket.inet_ntoa "
        "socket.inet_pton socket.inet_ntop socket.htons socket.ntohs socket.htonl socket.ntohl queue.Empty queue.Full "
        "secrets.compare_digest signal.Signals locale.strcoll locale.normalize numpy.random.Generator"
    )
)

# Forbidden even to look at.
READS: dict[str, Rule] = dict(
    _rules("environment", "os.environ os.environb sys.argv sys.executable sys.platform sys.path sys.flags")
)


def called(name: str, arguments: int | None = None) -> Rule | None:
    """Return the rule against calling something.

    Args:
        name: Its full name, such as `time.gmtime`.
        arguments: How many arguments it is called with; None when nobody knows.
    """
    if name in _HARMLESS or name.endswith(("Error", "Exception")):
        return None
    rule = CALLS.get(name)
    module = name
    while rule is None and "." in module:
        module = module.rpartition(".")[0]
        rule = CALLS.get(f"{module}.*")
    if rule is not None and rule.arguments is not None and (arguments is None or arguments >= rule.arguments):
        return None
    return rule


def read(name: str) -> Rule | None:
    """Return the rule against looking at something, such as `os.environ`."""
    return READS.get(name)
