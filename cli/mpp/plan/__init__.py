"""How much of which application goes over which link: docs/planning.md."""

from .flows import Flow, Infeasible, Plan, arc_rates, plan

__all__ = ["Flow", "Infeasible", "Plan", "arc_rates", "plan"]
