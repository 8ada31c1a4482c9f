"""The built-in students: a T5 or a Llama of about 250k parameters, with a tokeniser built from the training data."""

from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

WORD_LEVEL_LIMIT = 400
"""Up to this many distinct words every word is a token; beyond it, byte-level BPE."""
BPE_VOCABULARY = 2048
SPECIAL = ["<pad>", "</s>", "<unk>", "<mask>"]
POSITION_BIAS_LR = 20.0
"""Learning rate of the relative position bias, as a multiple: from scratch, T5 does not learn the built-in task
otherwise (12 to 32 % instead of 66 %)."""


def build_tokenizer(texts: Sequence[str], alphabetical: bool = False) -> PreTrainedTokenizerFast:
    """A tokeniser for `texts` (prompts and targets): word-level while the vocabulary is closed and small, else BPE.

    `alphabetical`: words are numbered so, and not by how frequent they are, so that one base reads all seeds' texts.
    """
    words = {word for text in texts for word in text.split()}
    if len(words) > WORD_LEVEL_LIMIT:
        tokenizer = _byte_pair(texts)
    else:
        tokenizer = _word_level(sorted(words) if alphabetical else texts)
    eos = tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", eos)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>"
    )


def is_word_level(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether a built-in student's tokeniser knows nothing but the words it was built from."""
    return isinstance(tokenizer.backend_tokenizer.model, models.WordLevel)


def config(tokenizer: PreTrainedTokenizerFast, dropout: float = 0.0) -> T5Config:
    """d_model 64, 2 + 2 layers, 4 heads."""
    return T5Config(  # type: ignore[call-arg]
        vocab_size=len(tokenizer),
        d_model=64,
        d_kv=16,
        d_ff=256,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        dropout_rate=dropout,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=64,
        feed_forward_proj="relu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )


def build(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """The student before its first step, from torch's global generator."""
    model = T5ForConditionalGeneration(config(tokenizer))
    # heads of 16 on a CPU: a fifth faster than SDPA, which builds a float mask of every head
    model.set_attn_implementation("eager")
    return model


def causal_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Width 64, 4 layers, 4 heads. The tokeniser ends a prompt with </s>, which is also what parts it from a target."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=2**16,  # rotary: no table to pay for
        initializer_range=0.1,
        tie_word_embeddings=True,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def build_causal(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The causal student before its first step, from torch's global generator."""
    model = LlamaForCausalLM(causal_config(tokenizer))
    model.set_attn_implementation("eager")
    return model


def _word_level(texts: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False))
    return tokenizer


def _byte_pair(texts: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=BPE_VOCABULARY,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer
