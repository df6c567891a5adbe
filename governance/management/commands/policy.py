"""`manage.py policy`: policies as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.adapters.documents import read_document, write_document
from governance.domain.policies.located import DocumentError, Node
from governance.domain.policies.quotas import quota_values
from governance.domain.policies.schema import canonical
from governance.models import PolicyVersion
from governance.selectors.policies import version_get, version_in_force, version_queryset
from governance.services.defaults import policies_install
from governance.services.policies import policy_change, policy_values
from governance.services.policy_kinds import PolicyKind, kind_of_file, policy_kind, policy_names
from governance.services.quotas import FILE, quotas_change, quotas_document
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.powers import person_may


class Command(BaseCommand):
    help = (
        "Show, check, export and import policies. What an import makes stricter is in force at once, for whose role "
        "tightens limits; what it loosens becomes a request of the person named. "
        'Example: manage.py policy import capital_policy.json --as risk --reason "smaller caps"'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser("list", help="the version of each that is in force")
        listing.add_argument("--json", action="store_true")
        verbs.add_parser("install", help="put a first version into force where there is none")
        check = verbs.add_parser("check", help="say what is wrong with a file, with line and column")
        check.add_argument("file", type=Path)
        export = verbs.add_parser(
            "export", help="write the version in force to a file named after its policy"
        )
        export.add_argument(
            "file", type=Path, help="capital_policy.json, policies.yaml, ...; - for the screen"
        )
        export.add_argument("--name", help="which policy, where the file's name does not say it")
        export.add_argument("--version", type=int, dest="number", help="an older version")
        imported = verbs.add_parser("import", help="read a file and put it into force, or ask for it")
        imported.add_argument("file", type=Path)
        imported.add_argument("--name", help="which policy, where the file's name does not say it")
        imported.add_argument("--as", dest="person", required=True, help="the user who wants it")
        imported.add_argument("--reason", required=True)
        imported.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except ApplicationError as error:
            problems = error.extra.get("problems") if error.extra else None
            if problems:
                self._refuse(options["file"], error)
            raise CommandError(f"{error.code}: {error.message}") from None
        except DocumentError as error:
            for problem in error.problems:
                self.stderr.write(f"{options['file']}: {problem}")
            raise CommandError(f"{options['file']} cannot be read") from None

    def _refuse(self, path: Path, error: ApplicationError) -> None:
        assert error.extra is not None
        for row in error.extra["problems"]:
            place = f"{path}:{row['line']}:{row['column']}" if row["line"] else str(path)
            self.stderr.write(f"{place}: {row['path'] + ': ' if row['path'] else ''}{row['message']}")
        raise CommandError(f"{path} is refused: {len(error.extra['problems'])} problems")

    def _list(self, options: dict[str, Any]) -> None:
        rows = {name: version_in_force(name) for name in policy_names()}
        members = {
            name: None if row is None else {"version": row.number, "digest": row.digest, "reason": row.reason}
            for name, row in rows.items()
        }
        if options["json"]:
            self.stdout.write(json.dumps(members))
            return
        for name, row in rows.items():
            told = (
                "none in force" if row is None else f"version {row.number}, {row.digest[:12]}: {row.reason}"
            )
            self.stdout.write(f"{name}: {told}")

    def _install(self, options: dict[str, Any]) -> None:
        installed = policies_install()
        self.stdout.write(f"installed {', '.join(installed)}" if installed else "nothing was missing")

    def _check(self, options: dict[str, Any]) -> None:
        if _is_quotas(options["file"]):
            quota_values(read_document(_text(options["file"]), suffix=options["file"].suffix))
            self.stdout.write(f"{options['file']} is as it should be")
            return
        kind = kind_of_file(options["file"].name)
        kind.read(read_document(_text(options["file"]), suffix=options["file"].suffix))
        self.stdout.write(f"{options['file']} is a {kind.name} as it should be")

    def _export(self, options: dict[str, Any]) -> None:
        path: Path = options["file"]
        if _is_quotas(path):
            path.write_text(write_document(quotas_document(), suffix=path.suffix), encoding="utf-8")
            self.stdout.write(f"wrote what every strategy has to {path}")
            return
        kind = _kind(options)
        version = _version(kind, options["number"])
        suffix = Path(kind.file).suffix if str(path) == "-" else path.suffix
        if suffix not in (".json", ".yaml", ".yml"):
            raise CommandError(f"expected a name that ends in .json, .yaml or .yml, was {path}")
        text = write_document(policy_values(version), suffix=suffix)
        if str(path) == "-":
            self.stdout.write(text, ending="")
            return
        path.write_text(text, encoding="utf-8")
        self.stdout.write(f"wrote {version} to {path}")

    def _import(self, options: dict[str, Any]) -> None:
        person = User.objects.filter(username=options["person"], is_active=True).first()
        if person is None:
            raise CommandError(f"no active user is called {options['person']!r}")
        wanted = "capital.propose" if _is_quotas(options["file"]) else "risk.propose"
        if not person_may(person, wanted):
            raise CommandError(f"{person.username} may not ask for changes: role {person.role}")
        node = read_document(_text(options["file"]), suffix=options["file"].suffix)
        if _is_quotas(options["file"]):
            self._import_quotas(node, person, options)
            return
        outcome = policy_change(name=_kind(options).name, node=node, actor=person, reason=options["reason"])
        if isinstance(outcome, ChangeRequest):
            members = {"state": "pending", "approval": str(outcome.pk), "diff": outcome.diff}
            words = f"request {outcome.pk} waits for somebody else: {', '.join(outcome.diff)}"
        else:
            members = {"state": "in_force", "version": outcome.number, "digest": outcome.digest}
            words = f"{outcome} is in force"
        self.stdout.write(json.dumps(canonical(members)) if options["json"] else words)

    def _import_quotas(self, node: Node, person: User, options: dict[str, Any]) -> None:
        lowered, request = quotas_change(node=node, actor=person, reason=options["reason"])
        if options["json"]:
            members = {"lowered": lowered, "approval": str(request.pk) if request else None}
            self.stdout.write(json.dumps(members))
            return
        if lowered:
            self.stdout.write(f"lowered {', '.join(lowered)}")
        if request is not None:
            self.stdout.write(f"request {request.pk} waits for somebody else: {', '.join(request.diff)}")


def _is_quotas(path: Path) -> bool:
    return path.name.partition(".")[0] == FILE and path.suffix in (".json", ".yaml", ".yml")


def _kind(options: dict[str, Any]) -> PolicyKind:
    return policy_kind(options["name"]) if options["name"] else kind_of_file(options["file"].name)


def _version(kind: PolicyKind, number: int | None) -> PolicyVersion:
    found = version_in_force(kind.name) if number is None else version_get(kind.name, number)
    if found is None:
        raise NotFound("NO_VERSION", f"no version of {kind.name} is in force")
    return version_queryset().get(pk=found.pk)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}") from None
