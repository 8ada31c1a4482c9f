"""Whether a model can be had at all, asked once, where loading it would retry for a minute."""

from pathlib import Path

from engine.errors import UsageError


def reach(model: str, key: str) -> None:
    """UsageError, naming the spec's key, where a model is neither a folder nor in the cache nor on the hub."""
    if model.startswith("builtin/") or Path(model).is_dir():
        return
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return
    try:
        HfApi().model_info(model, timeout=10)
    except (OSError, ValueError, httpx.HTTPError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{key} = {model!r} is no folder, not in the local cache and could not be found on the hub ({reason})"
        ) from None
