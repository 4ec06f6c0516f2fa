"""Customer-loyalty analytics from one table of transactions: numbers with definitions, intervals and counts."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loyalty import datasets, errors, interop, plots
    from loyalty.clv.backtesting.backtest import Backtest, backtest
    from loyalty.clv.backtesting.tracking import tracking
    from loyalty.clv.models.bootstrap import parametric_bootstrap
    from loyalty.clv.models.contractual import BDW, SBG
    from loyalty.clv.models.discrete import BGBB
    from loyalty.clv.models.lifetime import BGNBD, MBGNBD, NBD, GGomNBD, ParetoNBD
    from loyalty.clv.models.nested import likelihood_ratio_test
    from loyalty.clv.models.spend import GammaGamma
    from loyalty.clv.saving import load
    from loyalty.clv.summaries.counts import SurvivalCounts, survival_counts
    from loyalty.clv.summaries.opportunities import Opportunities, opportunities
    from loyalty.clv.summaries.summary import CustomerSummary, summarize
    from loyalty.clv.valuation.customer_value import CustomerValue
    from loyalty.clv.valuation.history import CustomerHistory, customer_history
    from loyalty.clv.valuation.many_customers import CustomerScores
    from loyalty.clv.valuation.value import CLVModel, clv, fit_clv
    from loyalty.estimates import Estimate
    from loyalty.metrics.allocation import WalletAllocation, wallet_allocation
    from loyalty.metrics.cohorts import Cohorts, cohorts
    from loyalty.metrics.repurchase import repurchase_rate
    from loyalty.metrics.retention import churn_rate, retention, retention_rate
    from loyalty.metrics.revenue import RevenueRetention, revenue_retention
    from loyalty.metrics.spend_distribution import spend_distribution
    from loyalty.metrics.spending import Spending, purchase_gaps, spending
    from loyalty.metrics.tenure import Tenure, tenure
    from loyalty.metrics.upsell import upsell_ratio
    from loyalty.metrics.value import HistoricalValue, historical_value
    from loyalty.metrics.wallet import ShareOfWallet, share_of_wallet
    from loyalty.overview import Overview, overview
    from loyalty.reporting.report import Report, report
    from loyalty.segments.pareto import Pareto, pareto
    from loyalty.segments.rfm import RFM, rfm
    from loyalty.state.customer_state import CustomerState
    from loyalty.surveys.nps import NPS, nps, nps_difference
    from loyalty.tables import EstimateSet, Grouped, Table
    from loyalty.transactions import Transactions, transactions

__version__ = "0.1.0"

_HOMES = {
    "Backtest": "clv.backtesting.backtest",
    "backtest": "clv.backtesting.backtest",
    "parametric_bootstrap": "clv.models.bootstrap",
    "BDW": "clv.models.contractual",
    "SBG": "clv.models.contractual",
    "SurvivalCounts": "clv.summaries.counts",
    "survival_counts": "clv.summaries.counts",
    "BGBB": "clv.models.discrete",
    "BGNBD": "clv.models.lifetime",
    "GGomNBD": "clv.models.lifetime",
    "MBGNBD": "clv.models.lifetime",
    "NBD": "clv.models.lifetime",
    "ParetoNBD": "clv.models.lifetime",
    "likelihood_ratio_test": "clv.models.nested",
    "Opportunities": "clv.summaries.opportunities",
    "opportunities": "clv.summaries.opportunities",
    "load": "clv.saving",
    "GammaGamma": "clv.models.spend",
    "CustomerSummary": "clv.summaries.summary",
    "summarize": "clv.summaries.summary",
    "tracking": "clv.backtesting.tracking",
    "CustomerScores": "clv.valuation.many_customers",
    "CLVModel": "clv.valuation.value",
    "CustomerValue": "clv.valuation.customer_value",
    "CustomerHistory": "clv.valuation.history",
    "customer_history": "clv.valuation.history",
    "clv": "clv.valuation.value",
    "fit_clv": "clv.valuation.value",
    "Estimate": "estimates",
    "WalletAllocation": "metrics.allocation",
    "wallet_allocation": "metrics.allocation",
    "Cohorts": "metrics.cohorts",
    "cohorts": "metrics.cohorts",
    "repurchase_rate": "metrics.repurchase",
    "churn_rate": "metrics.retention",
    "retention": "metrics.retention",
    "retention_rate": "metrics.retention",
    "RevenueRetention": "metrics.revenue",
    "revenue_retention": "metrics.revenue",
    "spend_distribution": "metrics.spend_distribution",
    "Spending": "metrics.spending",
    "purchase_gaps": "metrics.spending",
    "spending": "metrics.spending",
    "Tenure": "metrics.tenure",
    "tenure": "metrics.tenure",
    "upsell_ratio": "metrics.upsell",
    "HistoricalValue": "metrics.value",
    "historical_value": "metrics.value",
    "ShareOfWallet": "metrics.wallet",
    "share_of_wallet": "metrics.wallet",
    "Overview": "overview",
    "overview": "overview",
    "Report": "reporting.report",
    "report": "reporting.report",
    "Pareto": "segments.pareto",
    "pareto": "segments.pareto",
    "RFM": "segments.rfm",
    "rfm": "segments.rfm",
    "CustomerState": "state.customer_state",
    "NPS": "surveys.nps",
    "nps": "surveys.nps",
    "nps_difference": "surveys.nps",
    "EstimateSet": "tables",
    "Grouped": "tables",
    "Table": "tables",
    "Transactions": "transactions",
    "transactions": "transactions",
}
_ROOMS = ("datasets", "errors", "interop", "plots")

__all__ = [
    "BDW",
    "BGBB",
    "BGNBD",
    "MBGNBD",
    "NBD",
    "NPS",
    "RFM",
    "SBG",
    "Backtest",
    "CLVModel",
    "Cohorts",
    "CustomerHistory",
    "CustomerScores",
    "CustomerState",
    "CustomerSummary",
    "CustomerValue",
    "Estimate",
    "EstimateSet",
    "GGomNBD",
    "GammaGamma",
    "Grouped",
    "HistoricalValue",
    "Opportunities",
    "Overview",
    "Pareto",
    "ParetoNBD",
    "Report",
    "RevenueRetention",
    "ShareOfWallet",
    "Spending",
    "SurvivalCounts",
    "Table",
    "Tenure",
    "Transactions",
    "WalletAllocation",
    "__version__",
    "backtest",
    "churn_rate",
    "clv",
    "cohorts",
    "customer_history",
    "datasets",
    "errors",
    "fit_clv",
    "historical_value",
    "interop",
    "likelihood_ratio_test",
    "load",
    "nps",
    "nps_difference",
    "opportunities",
    "overview",
    "parametric_bootstrap",
    "pareto",
    "plots",
    "purchase_gaps",
    "report",
    "repurchase_rate",
    "retention",
    "retention_rate",
    "revenue_retention",
    "rfm",
    "share_of_wallet",
    "spend_distribution",
    "spending",
    "summarize",
    "survival_counts",
    "tenure",
    "tracking",
    "transactions",
    "upsell_ratio",
    "wallet_allocation",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its room on first use (PEP 562)."""
    if name in _HOMES:
        value = getattr(importlib.import_module(f"loyalty.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"loyalty.{name}")
    else:
        raise AttributeError(f"module 'loyalty' has no attribute {name!r}")
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keeps a public name from being shadowed by the room it lives in.

    Importing the room `loyalty.transactions` would bind the module to the package's attribute `transactions`, which
    is the public function. `from loyalty.transactions import …` does not need that binding.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
