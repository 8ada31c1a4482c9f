"""What a worker loads in the course of a run, for the process that `warm` forks from."""

import gc

from transformers import AutoModel, AutoTokenizer, LlamaForCausalLM, T5EncoderModel, T5ForConditionalGeneration

from engine.runs import pipeline, worker
from engine.teacher import client

USED = (AutoModel, AutoTokenizer, LlamaForCausalLM, T5EncoderModel, T5ForConditionalGeneration, pipeline, worker)
"""transformers loads a model's file when its name is asked for."""

client.load_litellm()
gc.collect()
gc.freeze()  # a collection in a child would copy every page
