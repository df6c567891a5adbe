"""Playbooks in force, what they watch, what they did, the incidents they opened, and how rehearsals went."""

from django.conf import settings
from django.db import models

from governance.domain.notices import SEVERITIES

_SEVERITIES = [(severity, severity) for severity in SEVERITIES]


class Playbook(models.Model):
    """A playbook in force: its rule may differ from the catalogue's. Its name says what is measured."""

    class Family(models.TextChoices):
        GUARDIAN = "guardian"
        GOVERNOR = "governor"

    name = models.SlugField(max_length=40, unique=True)
    family = models.CharField(max_length=8, choices=Family.choices)
    is_armed = models.BooleanField(default=True)
    threshold = models.FloatField(help_text="acts at this value, in `unit`")
    unit = models.CharField(max_length=12)
    window_s = models.FloatField(help_text="how far back is looked")
    confirm = models.PositiveSmallIntegerField(default=1, help_text="readings in a row")
    min_samples = models.PositiveIntegerField(default=1, help_text="what a reading must rest on")
    cooldown_s = models.FloatField(default=300, help_text="pause before the same scope is acted on again")
    max_scopes = models.PositiveSmallIntegerField(default=2, help_text="scopes acted on within an hour")
    blind_after = models.PositiveSmallIntegerField(
        default=6, help_text="readings in a row that fail before nothing new is risked in the scope"
    )
    severity = models.CharField(max_length=8, choices=_SEVERITIES, default="warning")
    actions = models.JSONField(help_text="steps that lower risk, in the order they are taken")
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["family", "name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(threshold__gt=0, confirm__gte=1, min_samples__gte=1, cooldown_s__gte=0),
                name="playbook_rule_sane",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.threshold:g} {self.unit}"


class PlaybookWatch(models.Model):
    """What a playbook last saw of one scope, and when it acted on it."""

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="watches")
    scope = models.CharField(max_length=120)
    value = models.FloatField(null=True)
    samples = models.PositiveIntegerField(default=0)
    detail = models.CharField(max_length=300, blank=True)
    verdict = models.CharField(max_length=10, blank=True)
    sightings = models.PositiveIntegerField(
        default=0, help_text="readings in a row that reached the threshold"
    )
    unmeasured = models.PositiveIntegerField(default=0, help_text="readings in a row that failed")
    read_at = models.DateTimeField()
    ran_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "playbook watches"
        constraints = [
            models.UniqueConstraint(fields=["playbook", "scope"], name="one_watch_per_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.scope} {self.verdict}"


class Incident(models.Model):
    """Something went wrong in one scope. One is open per kind and scope; more of the same goes on its timeline.

    What a fault put in on purpose set off is an incident of its own: what really happens never joins it.
    """

    class State(models.TextChoices):
        OPEN = "open"
        CALM = "calm", "over, not closed yet"
        CLOSED = "closed"

    kind = models.CharField(max_length=48)
    scope = models.CharField(max_length=160)
    severity = models.CharField(max_length=8, choices=_SEVERITIES)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    playbook = models.ForeignKey(Playbook, null=True, blank=True, on_delete=models.SET_NULL)
    needs_review = models.BooleanField(
        default=False, help_text="people write down the cause before anything is undone"
    )
    is_rehearsal = models.BooleanField(default=False)
    evidence = models.JSONField(default=dict, help_text="what was known when it opened")
    opened_at = models.DateTimeField()
    calm_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    review = models.TextField(blank=True, help_text="the cause, and why it is over")
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "is_rehearsal"],
                condition=~models.Q(state="closed"),
                name="one_open_incident",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.scope}: {self.state}"


class IncidentEntry(models.Model):
    """One line of an incident's timeline; only ever added."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    what = models.CharField(max_length=300)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "incident entries"

    def __str__(self) -> str:
        return self.what


class AfterAction(models.Model):
    """What people write down about an incident once it is understood; writing again adds, nothing is edited."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="after_actions")
    at = models.DateTimeField()
    author = models.CharField(max_length=150)
    what_happened = models.TextField()
    root_cause = models.TextField()
    what_will_change = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"incident {self.incident_id} by {self.author}"


class PlaybookRun(models.Model):
    """One time a playbook acted on one scope."""

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="runs")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="runs")
    scope = models.CharField(max_length=120)
    measured = models.FloatField(null=True)
    threshold = models.FloatField()
    held_back = models.BooleanField(default=False, help_text="the blast radius was reached: nothing was done")
    rehearsal = models.ForeignKey(
        "Rehearsal",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="runs",
        help_text="whose fault set it off; none where it really happened",
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["playbook", "-at"], name="runs_by_playbook")]

    def __str__(self) -> str:
        return f"{self.playbook_id} on {self.scope}"


class PlaybookAction(models.Model):
    """One step of a run: what was in force before and after, whether its effect was seen, and how it is undone."""

    class State(models.TextChoices):
        DONE = "done", "done, not verified yet"
        VERIFIED = "verified"
        STANDING = "standing", "in force already"
        FAILED = "failed"
        UNDONE = "undone"

    run = models.ForeignKey(PlaybookRun, on_delete=models.CASCADE, related_name="actions")
    number = models.PositiveSmallIntegerField()
    verb = models.CharField(max_length=10)
    scope = models.CharField(max_length=120)
    parameters = models.JSONField()
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.DONE)
    at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    undo_request = models.CharField(
        max_length=36, blank=True, help_text="the change request that takes it back"
    )

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="one_action_per_number")]

    def __str__(self) -> str:
        return f"{self.verb} {self.scope}: {self.state}"


class GameDay(models.Model):
    """Playbooks rehearsed one after another with one word."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELED = "canceled"

    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    reason = models.CharField(max_length=500)
    playbooks = models.JSONField(help_text="names, in the order they are rehearsed")
    skipped = models.JSONField(default=dict, help_text="by name, why it could not be rehearsed")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="running"), name="one_game_day_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"game day {self.pk}: {self.state}"


class Rehearsal(models.Model):
    """A fault put into the paper exchange on purpose, and how well it was answered."""

    class State(models.TextChoices):
        WATCHING = "watching", "the fault is in"
        STUCK = "stuck", "the fault could not be taken out yet"
        SCORED = "scored"
        FAILED = "failed", "could not be carried out"

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="rehearsals")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    game_day = models.ForeignKey(
        GameDay, null=True, blank=True, on_delete=models.PROTECT, related_name="rehearsals"
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.WATCHING)
    scope = models.CharField(max_length=120)
    fault = models.JSONField(default=dict, help_text="what was put in, and how it is taken out")
    injected_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    incident = models.ForeignKey(Incident, null=True, on_delete=models.SET_NULL)
    score = models.PositiveSmallIntegerField(null=True, help_text="of 100")
    findings = models.JSONField(default=list)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # One fault at a time: two would answer for each other.
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="watching"), name="one_rehearsal_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.state}"


class GuardianHour(models.Model):
    """That playbooks were judged in one hour: what the daily report knows the guardian's silence by."""

    hour = models.DateTimeField(unique=True)
    judged = models.PositiveIntegerField(default=0, help_text="times all of them were judged")
    last_at = models.DateTimeField()
    longest_pause_s = models.FloatField(default=0, help_text="between two of them that ended in this hour")

    class Meta:
        ordering = ["-hour"]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.judged}"


class ComplianceReport(models.Model):
    """What the machine and the people did on one day, generated after its end; a file of it lies in the home."""

    day = models.DateField(unique=True)
    created_at = models.DateTimeField()
    violations = models.PositiveIntegerField(help_text="hard limits that were broken")
    content = models.JSONField()
    digest = models.CharField(max_length=64, help_text="sha256 of the canonical text")
    path = models.CharField(max_length=200, help_text="the file, under the platform's home")

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.violations} violations"
