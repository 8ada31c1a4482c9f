"""The judge of steps, asked through the ledger as teachers are: a verdict that is paid for serves every run."""

import hashlib
from collections.abc import Callable, Sequence

from engine.errors import UsageError
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.teacher import client
from engine.teacher.buying import Orders
from engine.teacher.messages import style_of
from engine.teacher.price import price_of
from engine.teacher.requests import Request, key_of
from engine.teacher.sampling import fill
from engine.voting.step_judge import SYSTEM, Ask, Messages


def step_judge_of(spec: RunSpec) -> TeacherConfig | None:
    """The judge as somebody to ask, at temperature 0; None where the spec has none. Nothing is asked.

    Raises UsageError where it cannot be asked, or its price is unknown and the run's spending in dollars is limited.
    """
    judge = spec.selection.judge
    if judge.model is None:
        return None
    asked = TeacherConfig(
        model=judge.model,
        api_base=judge.api_base,
        api_key_env=judge.api_key_env,
        max_tokens=judge.max_tokens,
        input_usd_per_million=judge.input_usd_per_million,
        output_usd_per_million=judge.output_usd_per_million,
        temperature=0,
        samples=1,
        concurrency=spec.teacher.concurrency,
        timeout=spec.teacher.timeout,
        attempts=spec.teacher.attempts,
    )
    if style_of(asked) == "completion":
        raise UsageError(f"selection.judge.model: {judge.model} only goes on with texts: name a chat model")
    client.check(asked)
    if spec.teacher.budget_usd is not None and price_of(asked) is None:
        raise UsageError(
            f"teacher.budget_usd: the price of the judge {judge.model} is unknown; give "
            "selection.judge.input_usd_per_million and output_usd_per_million (0 where it costs nothing)"
        )
    return asked


def verdicts(
    judge: TeacherConfig, limits: TeacherConfig, ledger: Ledger, orders: Orders, say: Callable[[str, str], None]
) -> Ask:
    """Asks `judge` within the budget of `limits`; raises as `sampling.fill` does. A failed request has no answer."""
    rules = hashlib.sha256(SYSTEM.encode()).hexdigest()

    def ask(wanted: Sequence[Messages]) -> list[str | None]:
        keys = [key_of(judge, messages, rules) for messages in wanted]
        requests = {
            key: Request(judge, messages, key, (0,), purpose="judge")
            for key, messages in zip(keys, wanted, strict=True)
        }
        say("info", f"{len(requests)} rationales go to the judge of steps, {judge.model}")
        fill(limits, list(requests.values()), len(requests), ledger, orders, say=say)
        return [requests[key].texts.get(0) for key in keys]

    return ask
