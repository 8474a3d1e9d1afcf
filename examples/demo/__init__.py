"""Kill two real programs, start them again, and ask the outside world what happened: `python -m examples.demo`.

Nothing is pretended: child processes, SIGKILL, HTTP, LMDB and SQLite files. The programs, `examples.checkout` and
`examples.provision`, know nothing of this package.
"""
