"""`python -m gateway.cli` is `lendgate`."""

from gateway.cli import main

if __name__ == "__main__":
    main(prog_name="lendgate")
