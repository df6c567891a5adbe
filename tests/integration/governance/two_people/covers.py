"""What an approved request of a kind may make riskier, by the beginning of the name.

{0} is its target after the colon.
"""

from __future__ import annotations

COVERS: dict[str, tuple[str, ...]] = {
    "audit.accept_loss": ("audit forgives",),
    "blackout.end": ("blackout {0} ",),
    "breaker.reset": ("breaker {0} state", "level "),
    "breaker.rule": ("breaker {0} ", "level "),
    "capital.allocate": ("instance ",),
    "capital.endorse": (),
    "capital.quotas": ("instance ",),
    "capital.reset": ("capital goes on",),
    "credential.replace": ("key {0}",),
    "group.shrink": ("group {0} ",),
    "limit.loosen": ("limit {target}",),
    "model.envelope": ("envelope {0}",),
    "model.extend_canary": ("canary {0} ",),
    "model.promote": ("model {0} ", "strategy ", "instance "),
    "notification.channel": ("channel {0} ",),
    "notification.channel_off": ("channel {0} silent", "channel {0} late"),
    "notification.route": ("channel ops ",),
    "order.override": ("override ",),
    "playbook.change": ("playbook {0} ",),
    "policy.activate": ("policy {0} ", "instance "),
    "reconcile.adopt": ("adjustments",),
    "reconcile.period": ("sweep {0}",),
    "schedule.change": ("schedule {0}",),
    "strategy.change": ("strategy {0} ",),
    "strategy.enable": ("strategy {0} on",),
    "strategy.grant": ("instance {0} ",),
    "strategy.instance_enable": ("instance {0} on",),
    "strategy.listing_grant": ("listings {target} ",),
    "symbol.allow": ("allowed {target}",),
    "trading_state.lower": ("level {target}",),
    "user.change": ("user {target} may", "user {target} on"),
    "user.create": ("user {target} ", "password {target}"),
    "user.reset_second_factor": ("factor {target} gone",),
}


def covered(kind: str, target: str, name: str) -> bool:
    """Whether an approved request may have raised this."""
    rest = target.partition(":")[2]
    return name.startswith(tuple(text.format(rest, target=target) for text in COVERS[kind]))
