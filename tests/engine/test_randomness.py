"""Named streams: equal wherever they are asked for, whoever else draws."""

import torch

from engine.randomness import generator, uniforms


def test_a_row_has_the_same_numbers_whichever_others_there_are() -> None:
    whole = uniforms(3, range(9), 5)
    assert whole.dtype == torch.float64
    assert torch.equal(uniforms(3, range(1, 9, 3), 5), whole[1::3])
    assert torch.equal(whole[2], torch.rand(5, generator=generator(3, 2), dtype=torch.float64))
    assert len(whole.unique()) == 45
    assert not torch.equal(uniforms(4, range(9), 5), whole)
    assert uniforms(3, [], 5).shape == (0, 5)


def test_they_are_uniform() -> None:
    found = uniforms(0, range(4000), 4)
    assert ((found >= 0) & (found < 1)).all()
    # within five standard errors, of the numbers and of neighbours' products: rows are as independent as columns
    error = (1 / 12 / found.numel()) ** 0.5
    assert abs(found.mean() - 0.5) < 5 * error
    centred = found - 0.5
    assert abs((centred[1:] * centred[:-1]).mean()) < 5 / 12 / found.numel() ** 0.5
