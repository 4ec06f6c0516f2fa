"""What the real CDNOW customers are worth: models fitted on 18 months of purchases, and what they say of the next year.

Run it with `python examples/clv.py` where loyalty-analytics is installed.
"""

import loyalty as ly

MARGIN, HORIZON = 0.3, "365d"


def main() -> None:
    """Fit, value, and say it in sentences that a manager can repeat."""
    with ly.transactions(ly.datasets.cdnow()) as tx:
        print(tx, "\n")

        believe(ly.backtest(tx, "1997-09-30", margin=MARGIN))

        print("\nThe models")
        model = ly.fit_clv(tx, horizon=HORIZON, margin=MARGIN, annual_discount_rate=0.10, acquisition_cost=5.0)
        print(model.compared)
        print(model.purchases)
        print(model.spend, "\n")

        value = model.score(tx)
        repeat_what_counts(value, tx.n_customers)

        print("\nThe five most valuable customers")
        print(value.top(5).round(2).to_string(index=False))
        print("\nTen valuable customers who are going quiet: write to them first")
        print(value.going_quiet(10).round(2).to_string(index=False))

        print("\nA service asks for one customer: 3 repeat purchases, the last in week 40 of 60, of 42.50 on average")
        one = {"frequency": 3, "recency": 40.0, "age": 60.0, "monetary_value": 42.5}
        print(model.score_customer(**one))
        print(model.score_customer(**one, interval="predictive", confidence=0.8))


def believe(test: ly.Backtest) -> None:
    """Print what would have been said nine months ago, and what came."""
    print("Whether to believe it: the same models, fitted nine months earlier")
    print(test.sentence)
    for row in test.scores:
        if row["target"] == "revenue":
            print(f"- {row['name']}: {row['predicted']:,.0f} expected, {row['bias']:+.0%} off; its best tenth of")
            print(f"  customers brought {row['top_decile']:.0%} of what came")


def repeat_what_counts(value: ly.CustomerValue, customers: int) -> None:
    """Print the sentences to remember."""
    total, real, new = value.total, value.total_predictive, value.new_customer
    print("To be repeated")
    print(f"- Over the next year our {customers:,} customers are worth {total.value:,.0f} after margin.")
    print(f"- If the model is right, that is known to between {total.low:,.0f} and {total.high:,.0f}, and what really")
    print(f"  comes lies between {real.low:,.0f} and {real.high:,.0f} ({total.confidence * 100:.0f} % each).")
    print("  Only if customers go on buying as the model has it: see above how far off it was nine months ago.")
    print(f"- The best 30 % of customers hold {value.top_share(0.30):.0%} of that value.")
    print(f"- Winning a customer pays up to a cost of {value.break_even_cost.value:,.2f};")
    print(f"  at {value.terms.acquisition_cost:,.2f} each, a new one earns us {new.value:,.2f} in the first year.")
    for note in value.notes:
        print(f"- Mind: {note}")


if __name__ == "__main__":
    main()
