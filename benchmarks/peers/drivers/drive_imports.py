"""Imports the modules that are named in the place of the place, in an interpreter that has loaded nothing else."""

import sys

from driving import imports, main

main({"imports": imports(*sys.argv[3].split(","))})
