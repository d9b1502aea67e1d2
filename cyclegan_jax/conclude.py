"""What a run leaves for people at its end: scores, examples, pages."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any

from cyclegan_jax import console
from cyclegan_jax import files
from cyclegan_jax.data import sources
from cyclegan_jax.evaluation import closing
from cyclegan_jax.evaluation import examples as examples_lib
from cyclegan_jax.evaluation import stacks
from cyclegan_jax.evaluation import tables
from cyclegan_jax.evaluation import views as views_lib
from cyclegan_jax.mri import channels as channels_lib
from cyclegan_jax.mri import intensity
from cyclegan_jax.pages import card
from cyclegan_jax.pages import report as report_page
from cyclegan_jax.pages import run_files
from cyclegan_jax.pages import verdict
from cyclegan_jax.reporting import pictures

# Of scalings by domain: `simulated_volume.simulate` of one head.
Simulate = Callable[[Mapping[str, intensity.Scaling]], Any]


def score_held_out(
  data: sources.Data,
  translate: stacks.Translate,
  *,
  step: int,
  domains: Sequence[str],
  spacing: float,
  simulate: Simulate,
  workdir: pathlib.Path | None,
):
  """Scores the held-out patients of a run where it ends, and draws some.

  Args:
    data: of the run.
    translate: with its networks.
    step: done.
    domains: names of a and b.
    spacing: mm between their pixels, where scans have millimetres.
    simulate: makes a simulated head, if the data are simulated.
    workdir: where held_out.json, its table, pictures and views go; None: in
      another process.
  """
  if not data.pairs:
    return
  quantiles = {d: each.quantiles for d, each in data.intensities().items()}
  records, examples = closing.score(
    data.pairs,
    translate,
    quantiles,
    console.report_progress('scoring held-out patients'),
  )
  if not records:
    return
  if data.simulated:
    channels = data.pairs['a'].channels
    shown = [
      simulate_view(
        simulate,
        translate,
        {d: each.scaling for d, each in data.intensities().items()},
        channels=channels,
      )
    ]
  else:
    shown = [
      views_lib.make(
        *closing.make_volume(data.pairs, patient, translate, pixel=spacing)
      )
      for patient in closing.find_extremes(records)
    ]
  if workdir:
    write_scores(
      workdir,
      'held_out',
      records,
      examples,
      checkpoint=step,
      domains=domains,
      paired=True,
    )
    views_lib.write(workdir, shown, domains=domains, step=step)


def simulate_view(
  simulate: Simulate,
  translate: stacks.Translate,
  scalings: Mapping[str, intensity.Scaling],
  *,
  channels: int,
) -> views_lib.View:
  """A held-out simulated head as a volume, with its translations.

  Args:
    simulate: makes it.
    translate: what is to be shown.
    scalings: of the intensities of domain 'a' and 'b'.
    channels: of the networks.
  """
  name, images, spacing = simulate(scalings)
  spread = {d: channels_lib.spread(x, channels) for d, x in images.items()}
  case = closing.make_case(f'{name} (simulated)', spread, translate, spacing)
  return views_lib.make(case)


def write_scores(
  workdir: pathlib.Path,
  stem: str,
  records: Sequence[dict],
  examples: Mapping[str, list[examples_lib.Example]],
  *,
  domains: Sequence[str],
  **known,
) -> tuple[dict, list[str]]:
  """Writes scores as JSON, as a table, and as a picture of each direction.

  Args:
    workdir: of the run.
    stem: what the files begin with.
    records: of `scores`.
    examples: by direction.
    domains: names of a and b.
    **known: the rest of `tables.make_report`.

  Returns:
    The report, and the names of the files.
  """
  report = tables.make_report(records, domains=domains, **known)
  tables.write_report(workdir / f'{stem}.json', report)
  tables.write_records(workdir / f'{stem}.csv', records)
  written = [f'{stem}.json', f'{stem}.csv']
  for direction, found in examples.items():
    path = workdir / f'{stem}_{direction}.png'
    if not found:
      path.unlink(missing_ok=True)  # an earlier evaluation's
      continue
    chosen = examples_lib.choose(found)
    source, target = domains if direction == 'ab' else reversed(domains)
    picture = pictures.draw_comparison(
      examples_lib.rows(chosen),
      headings=(
        source,
        f'{target} synthetic',
        f'{target} truth',
        '|difference|',
      ),
      caption=f'{source} to {target}, checkpoint {report["checkpoint"]}',
      pixel_sizes=[each.pixel_size for _, each in chosen],
    )
    with files.replace_file(path) as partial:
      picture.save(partial, format='PNG')
    written.append(path.name)
  return report, written


def write_pages(workdir: pathlib.Path) -> pathlib.Path:
  """Says the verdict on a run; writes its card and its report, at a path."""
  run = run_files.read(workdir)
  for statement in verdict.judge(run):
    console.say(statement.text)
  card.write(run)
  return report_page.write([run], workdir / 'report.html')
