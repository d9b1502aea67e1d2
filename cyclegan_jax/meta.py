"""What a checkpoint says of its run: all that is needed to use it elsewhere."""

from collections.abc import Mapping
import dataclasses

from cyclegan_jax import errors
from cyclegan_jax.mri import intensity


@dataclasses.dataclass(frozen=True)
class Meta:
  """The part of a checkpoint that is no array.

  Attributes:
    config: as resolved, nested dicts.
    versions: of the packages, by name.
    git_revision: of the checkout, if known.
    step: done.
    data: fingerprints of the training slices by domain.
    intensities: what is typical of each domain.
    patients: marks of those trained on, see `patients.mark`.
    sums: of the logbook's open window and epoch; of checkpoints that training
      goes on from.
    distance: without pairs; of those chosen by it.
    started_from: of the run whose networks this one began as, if not anew:
      'step', 'digest' of the generators, whether 'discriminators' came along,
      and its `trained_on` and `learnt_from`.
    imported: SHA-256 of the files of another program that the networks are of,
      by the names of those there are; None of what was trained here.
  """

  config: dict
  versions: dict[str, str]
  git_revision: str | None
  step: int
  data: dict[str, str]
  intensities: dict[str, intensity.Intensities]
  patients: dict
  sums: dict | None = None
  distance: float | None = None
  started_from: dict | None = None
  imported: dict[str, str] | None = None

  def directions(self) -> list[str]:
    """Which of 'ab' and 'ba' there are: both, unless imported without."""
    return [
      direction
      for direction in ('ab', 'ba')
      if self.imported is None or f'gen_{direction}' in self.imported
    ]

  def trained_on(self) -> list[dict]:
    """Marks of all whom the networks know: of the runs before this one too."""
    return [self.patients, *(self.started_from or {}).get('trained_on', ())]

  def learnt_from(self) -> list[str]:
    """'scans', 'simulated' heads or both, by this run and those before it.

    'imported': of what, another program has not said.
    """
    if self.imported is not None:
      own = 'imported'
    else:
      own = 'scans' if self.config['data']['train_a'] else 'simulated'
    return sorted({own, *(self.started_from or {}).get('learnt_from', ())})

  def to_json(self) -> dict:
    """What JSON can hold; shares nothing that changes while a run goes on."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, fields: Mapping, place: object) -> 'Meta':
    """The inverse; fields that later versions added may be missing.

    Args:
      fields: as read.
      place: of the checkpoint, for a message.

    Raises:
      UserError: if it was written before intensities were noted.
    """
    if 'intensities' not in fields:
      raise errors.UserError(
        f'{place} was written by an older version, which did not note what '
        'intensities mean; train again'
      )
    known = {
      domain: intensity.Intensities.from_json(each)
      for domain, each in fields['intensities'].items()
    }
    names = {field.name for field in dataclasses.fields(cls)}
    found = {name: value for name, value in fields.items() if name in names}
    marked = fields.get('patients', fields.get('people', []))
    if isinstance(marked, list):  # of older versions: unsalted
      marked = {'salt': None, 'marks': marked}
    return cls(**found | {'intensities': known, 'patients': marked})
