"""The Python blocks of README.md and docs/ run, each page as one test in an empty folder.

The examples in docstrings run too, without a line here: pytest collects them from src (see pyproject.toml).
"""

from pathlib import Path

import pytest

import docs_examples

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


def page_name(page):
    return page.relative_to(ROOT).as_posix()


def with_marks(page):
    return pytest.param(page, marks=[getattr(pytest.mark, mark) for mark in docs_examples.marks(page)])


@pytest.mark.parametrize("page", [with_marks(page) for page in PAGES], ids=page_name)
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docs_examples.run(page)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_block_is_passed_over(page):
    assert docs_examples.odd_fences(page) == []


PAGE = """
```python
total = 1
```

```text
not Python at all
```

```python
>>> total + 1
2
>>> 2 / 3
0.667

```

<!-- skip: next "needs a cluster" -->
```python
raise SystemExit
```

```python
assert total == {total}
```
"""


def test_blocks_share_a_namespace(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("{total}", "1"), encoding="utf-8")
    docs_examples.run(page)


def test_a_failing_block_names_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("{total}", "2"), encoding="utf-8")
    with pytest.raises(AssertionError) as caught:
        docs_examples.run(page)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(page), 24)


def test_a_failing_doctest_shows_both_values(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"line 2(.|\n)*Expected:\n    3\nGot:\n    2"):
        docs_examples.run(page)


@pytest.mark.parametrize("fence", ["py", "python3", "Python", "pycon", "python title=x", "{python}"])
def test_odd_fences(fence, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"```{fence}\n1\n```\n\n```python\n1\n```\n\n```text\n```\n", encoding="utf-8")
    assert docs_examples.odd_fences(page) == [fence]
