"""Every headline loyalty number of the real CDNOW log: 23 570 customers, January 1997 to June 1998.

Run it with `make demo`, or `python examples/quickstart.py` where loyalty-analytics is installed.
"""

from pathlib import Path

import loyalty as ly

OUTPUT = Path(__file__).parent / "output"


def main() -> None:
    """Print every number as a sentence and save two pictures."""
    with ly.transactions(ly.datasets.cdnow()) as tx:
        print(tx, "\n")

        print("The headline numbers")
        print(ly.overview(tx), "\n")

        print("Who brings the revenue")
        pareto = ly.pareto(tx)
        print(pareto, "\n")

        print("Coming back")
        print(ly.repurchase_rate(tx, within="90d"))
        print(ly.cohorts(tx))
        print(ly.cohorts(tx, mode="since", follow_up=12))
        print(ly.repurchase_rate(tx, cohort="month"), "\n")

        print("Segments")
        print(ly.rfm(tx), "\n")

        print("The ten most valuable customers so far, at a margin of 30 %")
        print(ly.historical_value(tx, margin=0.3).customers.head(10).to_string(index=False), "\n")

        save(pareto.plot(), "pareto.png")
        save(ly.cohorts(tx).plot(), "cohorts.png")

    print("\nWhat costs, products, wallets and survey answers add (a simulated shop: CDNOW has none of them)")
    shop = ly.datasets.simulate(5_000, seed=7, returns=0.03, guests=0.05)
    wallet = ly.datasets.simulate_wallet(shop, seed=7)
    scores = ly.datasets.simulate_scores(500, seed=7)
    with ly.transactions(shop, order="order_id", product="product", cost="cost") as tx:
        print(tx)
        print(ly.pareto(tx, value="profit"))
        print(ly.upsell_ratio(tx))
        print(ly.share_of_wallet(tx, wallet))
        print(ly.nps(scores, score="score"))
        print(ly.historical_value(tx, acquisition_cost=5.0).mean)


def save(axes: object, name: str) -> None:
    """Save the figure of an axes and say where."""
    OUTPUT.mkdir(exist_ok=True)
    axes.figure.savefig(OUTPUT / name, dpi=150, bbox_inches="tight")
    print(f"Saved {OUTPUT / name}")


if __name__ == "__main__":
    main()
