"""The shell: ``driftline canary`` tells pipelines what to do with a candidate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from driftline._runtime import validation as check
from driftline.canary import CanaryPolicy, Verdict
from driftline.canary._sources import ask_evidence, ask_path, ask_prometheus, check_url, wait_for
from driftline.errors import ConfigurationError, DriftlineError
from driftline.results import CanaryState

__all__ = ["main"]

ERROR = 3
"""Exit code of everything that kept the question from being answered, wrong arguments included."""

EXIT_CODES: dict[CanaryState, int] = {"promote": 0, "rollback": 1, "inconclusive": 2}

CODES = "Exit codes: 0 promote, 1 rollback, 2 inconclusive, 3 the question could not be answered."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with `ERROR`: argparse's own 2 would be `inconclusive`."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    parser = _Parser(prog="driftline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_canary(commands.add_parser("canary", help="whether a candidate may take over", epilog=CODES))
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except (DriftlineError, OSError, ValueError) as error:
        print(f"driftline {given.command}: {error}", file=sys.stderr)
        return ERROR


def _add_canary(parser: argparse.ArgumentParser) -> None:
    parser.description = "Read the verdict on a candidate, and exit with it."
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prometheus", metavar="URL", help="read ml_canary_status from this server")
    source.add_argument("--path", metavar="FILE", help="read the file that Canary(path=...) keeps")
    source.add_argument("--evidence", metavar="FILE", nargs="+", help="judge the sum of evidence written as JSON")
    parser.add_argument("--model", help="ml.model.name, needed with --prometheus")
    parser.add_argument("--version", help="ml.model.version of the candidate")
    parser.add_argument("--variant", help="ml.model.variant of the candidate")
    parser.add_argument(
        "--policy", metavar="FILE", help="a CanaryPolicy as JSON, for --evidence (default: the default)"
    )
    parser.add_argument("--wait", action="store_true", help="ask until the verdict is not inconclusive any more")
    parser.add_argument("--timeout", default="1h", help="how long to wait (default 1h)")
    parser.add_argument("--interval", default="15s", help="between two questions (default 15s)")
    parser.set_defaults(run=_canary)


def _canary(given: argparse.Namespace) -> int:
    ask = _question(given)
    timeout, interval = check.duration("--timeout", given.timeout), check.duration("--interval", given.interval)
    if given.wait:
        verdict = wait_for(ask, timeout, interval, _tell)
    else:
        verdict = ask()
        _tell(verdict)
    return EXIT_CODES[verdict.state]


def _question(given: argparse.Namespace) -> Callable[[], Verdict]:
    if given.policy is not None and given.evidence is None:
        msg = "--policy: only evidence is judged here, what is exported has been judged already"
        raise ConfigurationError(msg)
    if given.prometheus is not None:
        if not given.model:
            msg = "--prometheus: expected --model too"
            raise ConfigurationError(msg)
        url = check_url(given.prometheus)
        named = {"ml_model_name": given.model, "ml_model_version": given.version, "ml_model_variant": given.variant}
        labels = {name: value for name, value in named.items() if value is not None}
        return lambda: ask_prometheus(url, labels)
    for name in ("model", "version", "variant"):
        if getattr(given, name) is not None:
            msg = f"--{name}: expected with --prometheus only"
            raise ConfigurationError(msg)
    if given.path is not None:
        return lambda: ask_path(given.path)
    policy = CanaryPolicy()
    if given.policy is not None:
        policy = CanaryPolicy.from_json(Path(given.policy).read_text(encoding="utf-8"))
    return lambda: ask_evidence(given.evidence, policy)


def _tell(verdict: Verdict) -> None:
    print(f"{verdict.state}: {verdict.reason}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
