"""`python -m testnet`."""

from testnet.cli import exit_code

if __name__ == "__main__":
    exit_code()
