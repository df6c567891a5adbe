#!/usr/bin/env python
"""The platform's command line: `manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    from nautilus_site.env import load_dotenv

    load_dotenv()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus_site.settings.local")
    if sys.argv[1:] == ["run"]:
        # The supervisor needs nothing of Django; see nautilus_site/supervisor/main.py.
        from nautilus_site.supervisor.main import run_platform

        sys.exit(run_platform(os.environ))

    from nautilus_site.supervisor.beside import choose_database_role, use_running_services

    use_running_services(os.environ)
    choose_database_role(os.environ, next(iter(sys.argv[1:]), ""))
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, connection

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if connection.connection is not None:
            raise
        sys.exit(
            f"nautilus: the database cannot be reached: {str(error).splitlines()[0]}\n"
            "This command works beside a running platform: start it with `make run`, and give both the same "
            "NAUTILUS_HOME."
        )


if __name__ == "__main__":
    main()
