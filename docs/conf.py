"""How Sphinx makes the site: `sphinx-build -W --keep-going docs build/site`."""

import os
import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))
# The notebook runs in a process of its own, which finds the package by this,
# and has no use for a device of its reader's.
os.environ['PYTHONPATH'] = str(_ROOT)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import cyclegan_jax

project = 'cyclegan_jax'
author = 'The cyclegan_jax developers'
project_copyright = author
version = release = cyclegan_jax.__version__

extensions = [
  'myst_nb',
  'sphinx.ext.autodoc',
  'sphinx.ext.napoleon',
  'sphinx.ext.viewcode',
]
exclude_patterns = ['_build', '**.ipynb_checkpoints']
nitpicky = False  # types of other packages are not looked up: no network
default_role = 'literal'  # what docstrings have between backticks

# Headings are linked to as on GitHub: page.md#a-heading.
myst_heading_anchors = 3

# The notebook is run whenever the site is made; what fails, fails it.
nb_execution_mode = 'force'
nb_execution_raise_on_error = True
nb_execution_timeout = 300
# Progress bars tell a reader nothing afterwards.
nb_output_stderr = 'remove'

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_default_options = {'members': True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # told once, with the class

html_theme = 'furo'
html_title = f'{project} {version}'
html_show_sphinx = False
html_copy_source = False
html_theme_options = {'navigation_with_keys': True}


def setup(app):
  app.connect('autodoc-skip-member', _skip)


def _skip(app, what, name, member, skip, options):
  """Fields of tuples, which their class describes."""
  del app, what, name, options
  text = getattr(member, '__doc__', None) or ''
  return True if text.startswith('Alias for field number') else skip
