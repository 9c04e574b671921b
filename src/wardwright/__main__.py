"""`python -m wardwright`: the command line."""

from wardwright.cli.main import main

if __name__ == "__main__":
    main()
