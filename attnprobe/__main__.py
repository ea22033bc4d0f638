"""`python -m attnprobe` is the same program as `attnprobe`."""

from attnprobe.cli import main

if __name__ == "__main__":
    main()
