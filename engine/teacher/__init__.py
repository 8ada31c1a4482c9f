"""Sampling rationales: prompts, the one LiteLLM call, the built-in and replay teachers, the resumable sampling loop."""
