"""Sampling rationales: prompts, the one LiteLLM call, the built-in and replay teachers, and the resumable sampling loop."""
