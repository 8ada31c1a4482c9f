"""The ranking model: what it reads, its scores beside a naive version, its pairs; it learns, and loads again."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import elu
from transformers import BertConfig, BertModel, BertTokenizerFast

from engine.judge import ranking
from engine.judge.discriminator import Judged
from engine.judge.ranking import RankingModel, build, load
from engine.judge.ranking_training import epoch_pairs, held_out, ranked, ranking_loss, within
from tests.engine import tiny_causal, tiny_t5

QUESTION = "ben has two"
GOOD = "first ben has 5 then he finds 4 makes 9"
BAD = "first ben has 5 then he finds 4 makes 1"


def bert(max_tokens: int = 64) -> RankingModel:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(w.lower() for w in dict.fromkeys(tiny_t5.WORDS))]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=24, initializer_range=0.5,
    )  # fmt: skip
    words_of = BertTokenizerFast(vocab={word: at for at, word in enumerate(words)})
    return RankingModel(BertModel(config), words_of, max_tokens)


def model_of(kind: str) -> RankingModel:
    if kind == "bert":
        return bert()
    s = tiny_t5.student() if kind == "t5" else tiny_causal.student(kind)
    return build("student-sized", s, 64, 0)


@pytest.mark.parametrize("kind", ["t5", "llama", "bert"])
def test_a_naive_version_agrees_and_neither_pads_nor_company_change_a_score(kind: str) -> None:
    model = model_of(kind).eval()
    pairs = [model.pair(QUESTION, text) for text in (GOOD, BAD, "9", "then " + GOOD)]
    naive = []
    for pair in pairs:
        assert pair is not None
        first, after = pair.rationale
        ids = torch.tensor([pair.tokens])
        with torch.no_grad():
            more = {}
            if kind == "bert":  # the second text and its end are of type 1
                more["token_type_ids"] = (torch.arange(len(pair.tokens)) >= first).long()[None]
            hidden = model.encoder(input_ids=ids, **more).last_hidden_state[0]
            x = sum(hidden[at] for at in range(first, after)) / (after - first)
            for layer in (model.first, model.second):
                x = x + elu(layer(x))
            naive.append(1 / (1 + torch.exp(-model.last(x)[0])))
    found = model.judge(pairs)
    assert found == pytest.approx([float(s) for s in naive], rel=1e-4)
    assert found == pytest.approx([model.judge([pair])[0] for pair in pairs], rel=1e-4)
    assert len({round(s, 6) for s in found}) == 4


@pytest.mark.parametrize("kind", ["t5", "bert"])
def test_the_mean_is_over_the_rationale_alone_and_what_is_over_long_has_no_pair(kind: str) -> None:
    model = model_of(kind)
    pair = model.pair(QUESTION, GOOD)
    assert pair is not None
    first, after = pair.rationale
    said = model.tokenizer(GOOD.lower() if kind == "bert" else GOOD, add_special_tokens=False)["input_ids"]
    assert list(pair.tokens[first:after]) == said
    assert len(pair.tokens) == len(said) + 3 + (3 if kind == "bert" else 2)  # [CLS] … [SEP] … [SEP]; each its end
    assert model.max_tokens == (24 if kind == "bert" else 64)  # the encoder's own where it is lower
    model.max_tokens = len(pair.tokens)
    assert model.pair(QUESTION, GOOD) == pair
    assert model.pair(QUESTION, GOOD + " 9") is None


@pytest.mark.parametrize(("p", "wanted"), [(7.0, (0.1**7 + 0.2**7 + 0.5**7 + 0.5**7) / 2), (3.0, (0.009 + 0.25) / 2)])
def test_the_loss_by_hand(p: float, wanted: float) -> None:
    right, wrong = torch.tensor([0.9, 0.5]), torch.tensor([0.2, 0.5])
    assert float(ranking_loss(right, wrong, p)) == pytest.approx(wanted)


def test_pairs_are_of_one_question_and_every_rationale_comes_up_in_every_epoch() -> None:
    model = model_of("t5")
    examples = [
        Judged("ben has 1", ("1", "2", "3"), ("4",)),
        Judged("ben has 2", ("5",), ("6", "7")),
        Judged("ben has 3", ("8",), ()),
        Judged("ben has 4", ("9 " * 80,), ("9",)),
    ]
    questions, over = ranked(model, examples)
    assert (len(questions), over) == (2, 1)  # one has nothing wrong, of one the only right one is over-long
    seen = [epoch_pairs(questions, 0, epoch) for epoch in (0, 0, 1)]
    assert seen[0] == seen[1] != seen[2]
    for pairs in seen:
        assert len(pairs) == 3 + 2
        for q in questions:
            mine = [(r, w) for r, w in pairs if r in q.right]
            assert {r for r, _ in mine} == set(q.right)
            assert {w for _, w in mine} == set(q.wrong)


def test_it_learns_to_rank_and_loads_again(tmp_path: Path) -> None:
    model = model_of("t5")
    examples = [Judged(f"ben has {i}", (GOOD,), (BAD,)) for i in range(1, 5)]
    questions, _ = ranked(model, examples)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(40):
        right, wrong = zip(*epoch_pairs(questions, 0, step), strict=True)
        optimizer.zero_grad()
        ranking_loss(*model([*right, *wrong]).chunk(2), 3.0).backward()
        optimizer.step()
    assert within(model, questions) == [1.0] * 4
    found = held_out(model, examples, 0)
    assert found["auc/minority"] == found["ranked_right"] == 1.0
    model.save(tmp_path / "ranking")
    again = load(tmp_path / "ranking")
    pairs = [pair for q in questions for pair in (*q.right, *q.wrong)]
    assert again.judge(pairs) == model.judge(pairs)
    assert [again.pair(QUESTION, GOOD)] == [model.pair(QUESTION, GOOD)]
    assert isinstance(again, ranking.RankingModel)
