"""Options of the compiler: on CPU, where they belong, and only known ones."""

import jax
import jax.numpy as jnp
import pytest

from cyclegan_jax import errors
from cyclegan_jax.networks import convolution_forms
from cyclegan_jax.runtime import compiler


def test_convolutions_are_not_handed_to_the_library_and_products_are():
  """As XLA compiles them by itself, both are."""

  def convolve(images, kernel):
    return convolution_forms.FORMS['forward']['direct'](images, kernel, 1, 1)

  images = jax.ShapeDtypeStruct((1, 64, 64, 64), jnp.float32)
  kernel = jax.ShapeDtypeStruct((3, 3, 64, 64), jnp.float32)
  matrix = jax.ShapeDtypeStruct((256, 256), jnp.float32)
  convolved, multiplied = (
    compiler.jit(function).lower(*shapes).compile().as_text()
    for function, *shapes in (
      (convolve, images, kernel),
      (jnp.dot, matrix, matrix),
    )
  )
  assert 'ynn' not in convolved and 'ynn' in multiplied
  assert 'ynn' in jax.jit(convolve).lower(images, kernel).compile().as_text()


def test_a_setting_of_the_user_wins(monkeypatch):
  (first, *others) = compiler.options()
  monkeypatch.setenv('XLA_FLAGS', f'--{first}=LIBRARY_FUSION_TYPE_INVALID')
  assert list(compiler.options()) == others


def test_an_option_that_no_compiler_knows_is_left_out(monkeypatch):
  wanted = compiler.options()
  monkeypatch.setattr(
    compiler, '_CPU', wanted | {'xla_cpu_made_up': True}, raising=True
  )
  assert compiler.options() == wanted


@pytest.mark.parametrize('backend', ['gpu', 'tpu'])
def test_accelerators_are_left_to_themselves(monkeypatch, backend):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  assert compiler.options() == {}


def test_a_gpu_is_told_to_give_the_same_bits(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  told = compiler.options(deterministic=True)
  assert told == {'xla_gpu_exclude_nondeterministic_ops': True}
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  assert compiler.options(deterministic=True) == {}


def test_what_cannot_be_promised_is_refused(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  monkeypatch.setattr(compiler, '_DETERMINISTIC', {'xla_gpu_made_up': True})
  assert compiler.options() == {}
  with pytest.raises(errors.UserError, match=r'config\.deterministic: .*made_'):
    compiler.options(deterministic=True)
