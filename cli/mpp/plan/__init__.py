"""How much of which application goes over which link: docs/planning.md."""

from .flows import Flow, Infeasible, Plan, arc_rates, plan
from .programme import Unsolved

__all__ = ["Flow", "Infeasible", "Plan", "Unsolved", "arc_rates", "plan"]
