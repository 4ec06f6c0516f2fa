"""Completion in bash, zsh and fish: the scripts are shown, installed and, where the shell is here, pressed Tab on."""

import shutil
import subprocess
import sys

import pytest

from command import environment, start

pexpect = pytest.importorskip("pexpect")

pytestmark = pytest.mark.slow  # each starts processes of its own


@pytest.fixture
def on_path(tmp_path):
    """A folder with the command `loyalty`, as pip would write it; and its environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "loyalty"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom loyalty.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    variables = environment(HOME=str(home), TERM="dumb", ZDOTDIR=str(home), XDG_CONFIG_HOME=str(home / ".config"))
    return {**variables, "PATH": f"{folder}:{variables['PATH']}"}


def asked(*words):
    """Return what bash would be offered after some words."""
    process = start(env=environment(_LOYALTY_COMPLETE="complete_bash", COMP_WORDS="\n".join(["loyalty", *words]),
                                    COMP_CWORD=str(len(words))))  # fmt: skip
    out, err = process.communicate(timeout=60)
    assert err == b""
    return out.decode().split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["re"], ["report"]),
        (["metrics", "a.csv", "--observed-"], ["--observed-from", "--observed-until"]),
        (["metrics", "a.csv", "--only", "gini"], ["gini_of_revenue", "gini_of_profit"]),
        (["metrics", "a.csv", "--period", "q"], ["quarter"]),
        (["score", "a.csv", "--model", "BG"], ["BGNBD"]),
        (["metrics", "or"], []),  # nothing: the shell offers files
    ],
)
def test_what_is_offered(words, offered):
    assert asked(*words) == offered


def in_shell(shell, command, variables):
    """Run a command in a shell, whose child it is, and return what it wrote."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    asked = [shell, "-c", f"{command}; true"]  # the last command of all would take the shell's place
    done = subprocess.run(asked, env=variables, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(("shell", "line"), [
    ("bash", "complete -o default -F _loyalty_completion loyalty"),
    pytest.param("zsh", "compdef _loyalty_completion loyalty", marks=pytest.mark.slow),
    pytest.param("fish", "complete --command loyalty", marks=pytest.mark.slow),
])  # fmt: skip
def test_script_is_shown_for_the_shell_it_is_asked_in(on_path, shell, line):
    script = in_shell(shell, "loyalty --show-completion", on_path)
    assert line in script
    assert "_LOYALTY_COMPLETE" in script


@pytest.mark.parametrize(("shell", "prompt"), [
    ("bash", "bash --rcfile {home}/.bashrc -i"),
    pytest.param("zsh", "zsh -i", marks=pytest.mark.slow),
    pytest.param("fish", "fish -i", marks=pytest.mark.slow),
])  # fmt: skip
def test_tab_completes_once_installed(on_path, shell, prompt):
    assert "completion installed in" in in_shell(shell, "loyalty --install-completion", on_path)
    command, *options = prompt.format(home=on_path["HOME"]).split()
    terminal = pexpect.spawn(command, options, encoding="utf-8", timeout=30, env=on_path, dimensions=(40, 200))
    terminal.sendline("echo rea''dy")
    terminal.expect("ready")
    if shell == "zsh":  # where the first Tab only loads the script
        terminal.send("loyalty \t")
        terminal.sendcontrol("u")
        terminal.sendline("echo ag''ain")
        terminal.expect("again")
    for typed, whole in (("loyalty backt", "backtest "), ("--spl", "--split "), ("2024-01-01 --jso", "--json")):
        terminal.send(typed)
        terminal.expect_exact(typed.split()[-1])
        terminal.send("\t")
        terminal.expect_exact(whole.removeprefix(typed.split()[-1]))
    terminal.sendcontrol("c")
    terminal.close(force=True)
