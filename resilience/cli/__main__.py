"""Start the command line with `python -m resilience.cli`."""

from resilience.cli import main

main()
