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

    from nautilus_site.supervisor.beside import use_running_services

    use_running_services(os.environ)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
