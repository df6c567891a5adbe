from celery.signals import task_postrun, task_prerun
from django.apps import AppConfig
from django.db.models.signals import post_migrate

from nautilus_site.common.processes import is_read_only, process_kind, takes_part
from nautilus_site.common.services.watches import register_watch


class GovernanceConfig(AppConfig):
    name = "governance"
    verbose_name = "Governance"

    def ready(self) -> None:
        if is_read_only():
            return  # nothing is decided there
        from governance import receivers
        from trading.services.schedules import by_hand_register

        if takes_part():
            from governance.services import registrations

            registrations.register()
        if process_kind() in ("", "relay"):
            from governance.services.processes.silence import processes_watch
            from governance.services.schedules.silence import beat_watch, guardian_watch

            register_watch(beat_watch)
            register_watch(guardian_watch)
            register_watch(processes_watch)
        by_hand_register(receivers.BY_HAND)
        task_prerun.connect(receivers.note_start, weak=False)
        task_postrun.connect(receivers.note_end, weak=False)
        post_migrate.connect(receivers.install_schedules, sender=self)
