"""A state on disk survives whatever happens to those who write it: kills at any moment, and two writers at once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import loyalty as ly
import nightly
from loyalty.errors import OutputError
from loyalty.state.customer_state import CustomerState
from loyalty.state.locking import locked

# Merges night after night until it is killed; night n makes the spend 100 + n and moves the clock by a day.
WRITER = """
import sys
import pandas as pd
from loyalty.state.customer_state import CustomerState
state = CustomerState.load(sys.argv[1])
number = len(state.batches)
print("ready", flush=True)
while True:
    number += 1
    date = pd.Timestamp("2024-01-10") + pd.Timedelta(days=number)
    rows = pd.DataFrame({"customer_id": [f"c{number % 7}"], "date": [date], "amount": [1.0]})
    state.merge(rows, batch=f"n{number}")
    state.save(sys.argv[1])
    print(number, flush=True)
"""


def small_state():
    log = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-01", "2024-01-10"], "amount": [60.0, 40.0]})
    return CustomerState.from_(ly.transactions(log))


def assert_whole(folder, at_least):
    """Raise unless the state is one that a writer had finished, and not older than the last one it told of."""
    with CustomerState.load(folder) as state:
        told = state.to_dict()
        number = told["batches"]
        assert number >= at_least
        assert told["spend"] == 100.0 + number
        assert told["rows_in"] == told["rows_used"] == 2 + number
        assert state.batches == tuple(f"n{one}" for one in range(1, number + 1))
        people = state.customers
        assert people["spend"].sum() == told["spend"]
        assert people["purchases"].sum() == told["purchases"] == 2 + number
        assert (state.observed_until - nightly.START).days == 9 + number
    return number


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_state_or_the_new(tmp_path):
    folder, rng = tmp_path / "state", random.Random(5)
    with small_state() as state:
        state.save(folder)
    kills, reached = int(os.environ.get("LOYALTY_KILLS", "12")), 0
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 1.2))
            process.send_signal(signal.SIGKILL)
            told = process.stdout.read().split()
        reached = assert_whole(folder, int(told[-1]) if told else reached)
    with CustomerState.load(folder) as state:  # and what killed runs left is gone after the next save
        night = pd.DataFrame({"customer_id": ["a"], "date": [state.observed_until.isoformat()], "amount": [1.0]})
        state.merge(night, batch=f"n{reached + 1}")
        state.save(folder)
        from loyalty.state import header

        found = header.read(folder)
        assert {path.name for path in folder.iterdir()} == found.files | set(found.previous) | {"state.json", "lock"}


ONCE = """
import sys
import pandas as pd
from loyalty.errors import OutputError, UnsupportedSource
from loyalty.state.customer_state import CustomerState
folder, name = sys.argv[1:]
won = 0
while won < 6:
    with CustomerState.load(folder) as state:
        rows = pd.DataFrame({"customer_id": [name], "date": ["2024-01-10"], "amount": [1.0]})
        try:
            state.merge(rows, batch=f"{name}{won}")
            state.save(folder)
            won += 1
        except OutputError as err:
            assert "another writer" in str(err), err
        except UnsupportedSource as err:
            assert "Load it again" in str(err) or "No files found" in str(err), err
"""


@pytest.mark.slow
def test_two_writers_at_once_lose_nothing(tmp_path):
    folder = tmp_path / "state"
    with small_state() as state:
        state.save(folder)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", ONCE, folder, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in ("x", "y")
    ]
    for writer in writers:
        _, errors = writer.communicate()
        assert writer.returncode == 0, errors
    with CustomerState.load(folder) as state:
        assert sorted(state.batches) == [f"{name}{number}" for name in "xy" for number in range(6)]
        assert state.to_dict()["spend"] == 112.0


def test_who_comes_second_is_told_and_can_go_on(tmp_path):
    folder = tmp_path / "state"
    with small_state() as state:
        state.save(folder)
    night = pd.DataFrame({"customer_id": ["a"], "date": ["2024-01-10"], "amount": [1.0]})
    with CustomerState.load(folder) as first, CustomerState.load(folder) as second:
        first.merge(night, batch="one")
        second.merge(night, batch="two")
        first.save(folder)
        with pytest.raises(OutputError, match="saved by another writer since this one was loaded"):
            second.save(folder)
    with CustomerState.load(folder) as state:
        assert state.batches == ("one",)


def test_one_holds_the_lock_at_a_time(tmp_path):
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with locked(tmp_path / "lock"):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    with pytest.raises(OutputError, match="another process has been writing"), locked(tmp_path / "lock", 0.05):
        raise AssertionError
    leave.set()
    holder.join()
    with locked(tmp_path / "lock", 0.05):
        pass
