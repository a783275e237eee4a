"""A private PostgreSQL for a test, on a free port and in a folder of its own. Standard library only."""
from private_server import ROOT, PrivateServer

TOOL = ROOT / "tools/postgres"
TOOL_S = 300


class Postgres(PrivateServer):
    """A server with its superuser.

    settings: lines of its configuration, by name.
    uri:      of its superuser, with the password, as --postgres takes it.
    """

    tool, tool_s = TOOL, TOOL_S

    def __init__(self, settings=None):
        settings = [word for name, value in (settings or {}).items() for word in ("--setting", f"{name}={value}")]
        super().__init__(["--port", 0, *settings])

    @property
    def uri(self):
        return self.answer

    def psql(self, sql, *flags):
        """Runs SQL, which must succeed; returns the rows, a line each, with columns separated by |."""
        done = self.run("psql", "-At", "-q", "-v", "ON_ERROR_STOP=1", *flags, stdin=sql)
        return done.stdout.rstrip("\n")

    def log_paths(self):
        return sorted(self.folder.glob("postgres.log"))
