"""`python -m interp`: the `interp` command, where it is not on the PATH."""

from interp.cli import main

if __name__ == "__main__":
    main()
