from governance.models.capital import Allocation, AllocationRun, CapitalState
from governance.models.policies import Policy, PolicyActivation, PolicyVersion
from governance.models.routing import RoutingDecision

__all__ = [
    "Allocation",
    "AllocationRun",
    "CapitalState",
    "Policy",
    "PolicyActivation",
    "PolicyVersion",
    "RoutingDecision",
]
