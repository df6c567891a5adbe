from trading.models.accounts import (
    Account,
    Balance,
    Credential,
    IncomeCursor,
    MarginTerms,
    SubBalance,
    TradeCursor,
)
from trading.models.books import BookSnapshot
from trading.models.brackets import Bracket, BracketEvent, BracketLeg
from trading.models.breakers import BreakerPolicy, BreakerSample, CircuitBreaker, VenueCallWindow
from trading.models.candidates import CandidateKey
from trading.models.ceilings import Ceiling
from trading.models.commands import OrderCommand
from trading.models.controls import Flatten, KillEnforcement, RiskLimit, SymbolAllowance, TradingState
from trading.models.decisions import Decision, ObservedStep, Plan, PlanShare
from trading.models.equity import EquityAnchor, EquitySnapshot
from trading.models.exposure import ExposureBucket, ExposureEscrow
from trading.models.fills import Fill, LedgerEntry
from trading.models.heartbeats import ProcessHeartbeat, ServingHeartbeat
from trading.models.listing_grants import ListingGrant
from trading.models.orders import Order, OrderEvent, OrderList
from trading.models.positions import Position, PositionTransfer, SubPosition
from trading.models.reconcile import Divergence, ReconcileRun, Statement, SweepPeriod, SweepState
from trading.models.research import ResearchJob, ResearchPart, TrialTally
from trading.models.results import StrategyResult
from trading.models.risk import Blackout, CorrelationGroup, LossMeasure, OverrideGrant, VenueClock
from trading.models.strategies import Strategy, StrategyInstance
from trading.models.venue_events import VenueEvent

__all__ = [
    "Account",
    "Balance",
    "Blackout",
    "BookSnapshot",
    "Bracket",
    "BracketEvent",
    "BracketLeg",
    "BreakerPolicy",
    "BreakerSample",
    "CandidateKey",
    "Ceiling",
    "CircuitBreaker",
    "CorrelationGroup",
    "Credential",
    "Decision",
    "Divergence",
    "EquityAnchor",
    "EquitySnapshot",
    "ExposureBucket",
    "ExposureEscrow",
    "Fill",
    "Flatten",
    "IncomeCursor",
    "KillEnforcement",
    "LedgerEntry",
    "ListingGrant",
    "LossMeasure",
    "MarginTerms",
    "ObservedStep",
    "Order",
    "OrderCommand",
    "OrderEvent",
    "OrderList",
    "OverrideGrant",
    "Plan",
    "PlanShare",
    "Position",
    "PositionTransfer",
    "ProcessHeartbeat",
    "ReconcileRun",
    "ResearchJob",
    "ResearchPart",
    "RiskLimit",
    "ServingHeartbeat",
    "Statement",
    "Strategy",
    "StrategyInstance",
    "StrategyResult",
    "SubBalance",
    "SubPosition",
    "SweepPeriod",
    "SweepState",
    "SymbolAllowance",
    "TradeCursor",
    "TradingState",
    "TrialTally",
    "VenueCallWindow",
    "VenueClock",
    "VenueEvent",
]
