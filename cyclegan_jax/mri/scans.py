"""The scans of a folder: found and named."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import glob
import os
import pathlib
import re

from cyclegan_jax import errors
from cyclegan_jax.mri import patients
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.mri.formats import limits

_MAGIC = re.compile(r'[*?[]')


def find_scans(
  source: str | os.PathLike, *, warn: Callable[[str], None] = lambda note: None
) -> list[dispatch.Scan]:
  """Every scan of a file, a folder with all its subfolders, or a pattern.

  Files of other kinds, hidden ones and what an operating system leaves behind
  are passed over.

  Args:
    source: such as 'scans', 'scans/anna.nii.gz' or 'scans/*/T1.nii.gz'; `**`
      stands for any number of folders.
    warn: called with a line for what is left out: folders to which links lead
      again, links that lead nowhere, DICOM files without an image.

  Returns:
    Sorted by name.

  Raises:
    UserError: if there is nothing, or nothing that is a scan.
  """
  root, files = _list_files(source, warn)
  scans, others = [], []
  for path in files:
    module = dispatch.MODULES.get(dispatch.suffix_of(path))
    if module:
      name = dispatch.stem_of(path.relative_to(root).as_posix())
      patient = patients.patient_of(name, numbered=module == 'picture')
      paths = (path, *_find_data(path))
      scans.append(
        dispatch.Scan(name, patient, paths, module, _find_home(root, name))
      )
    else:
      others.append(path)
  scans += _find_series(root, others, bool(scans), warn)
  if not scans:
    _refuse_strangers(source, files)
  if files == [pathlib.Path(source)] and not patients.is_person(
    scans[0].patient
  ):
    # Of the one file anna/T1.nii.gz only the folder tells whose it is.
    patient = files[0].absolute().parent.name
    scans[0] = dataclasses.replace(scans[0], patient=patient, home=root)
  names = collections.Counter(scan.name for scan in scans)
  for row, scan in enumerate(scans):  # anna.png beside anna.nii
    if names[scan.name] > 1 and scan.module != 'dicom':
      name = scan.name + dispatch.suffix_of(scan.paths[0])
      scans[row] = dataclasses.replace(scan, name=name)
  return sorted(scans, key=lambda scan: scan.name)


def check_source(source: str | os.PathLike):
  """Raises `UserError` at once if `find_scans` would; opens hardly a file."""
  _, files = _list_files(source, lambda note: None)
  for path in files:
    if dispatch.suffix_of(path) in dispatch.MODULES:
      return
  dicom = dispatch.load('dicom')
  if not any(dicom.is_dicom(path) for path in files):
    _refuse_strangers(source, files)


def _list_files(source, warn) -> tuple[pathlib.Path, list[pathlib.Path]]:
  """The folder that names are relative to, and all files, sorted."""
  text = os.fspath(source)
  if _MAGIC.search(text) and not os.path.exists(text):
    parts = pathlib.PurePath(text).parts
    fixed = next(i for i, part in enumerate(parts) if _MAGIC.search(part))
    root = pathlib.Path(*parts[:fixed])
    found = [pathlib.Path(path) for path in glob.glob(text, recursive=True)]
    if not found:
      raise errors.UserError(f'nothing matches {text}')
  else:
    root = pathlib.Path(text)
    limits.check_file(root)
    if not root.exists():
      raise errors.UserError(f'{root} does not exist; name a folder of scans')
    if root.is_file():
      return root.parent, [root]
    found = [root]
  try:
    files = sorted(set(_walk(found, warn)))
  except OSError as error:
    raise errors.UserError(
      f'{error.filename} cannot be read: {error.strerror}'
    ) from None
  if not files:
    raise errors.UserError(
      f'{source} is empty; it should hold {dispatch.KNOWN} scans'
    )
  return root, files


def _walk(found, warn) -> Iterator[pathlib.Path]:
  """Files in folders, hidden ones and those of the system left out."""
  visited = {}  # of links there may be circles
  for path in found:
    if path.is_file():
      yield path
      continue
    for folder, folders, names in os.walk(
      path, onerror=_raise, followlinks=True
    ):
      true = os.path.realpath(folder)
      folders[:] = [each for each in folders if not _is_junk(each)]
      if true in visited:
        folders.clear()
        warn(f'{folder} is left out: it leads to {visited[true]}, read already')
        continue
      visited[true] = folder
      for name in names:
        if _is_junk(name):
          continue
        path = pathlib.Path(folder, name)
        lost = path.is_symlink() and not os.path.exists(path)
        # What is named like a scan is told when it is to be read.
        if lost and dispatch.suffix_of(path) not in dispatch.MODULES:
          warn(f'{path} is left out: it is a link that leads nowhere')
        else:
          yield path


def _is_junk(name):
  return name.startswith('.') or name.lower() in (
    *('thumbs.db', 'desktop.ini', '__macosx'),
  )


def _find_home(root, name):
  """The folder of a patient, unless scans of several lie in the one named."""
  parts = pathlib.PurePath(name).parts
  return root / parts[0] if len(parts) > 1 else None


def _find_data(path) -> list[pathlib.Path]:
  """The file beside a header that it names, if it is there."""
  if dispatch.MODULES[dispatch.suffix_of(path)] != 'itk' or not path.is_file():
    return []
  with path.open('rb') as file:
    text = file.read(10_000).decode(errors='replace')
  named = re.search(
    r'^(?:ElementDataFile\s*=|data ?file:)\s*(\S.*?)\s*$',
    text,
    re.MULTILINE | re.IGNORECASE,
  )
  # One that leads anywhere else is refused when it is read.
  if not named or pathlib.PurePath(named.group(1)).name != named.group(1):
    return []
  data = path.with_name(named.group(1))
  # Unlike pathlib's, it takes a name that no file can have for none.
  return [data] if data != path and os.path.isfile(data) else []


def _find_series(root, paths: Sequence[pathlib.Path], others: bool, warn):
  """The DICOM series among files; each is named after its folder.

  Without `others`, files that hold no image are an error.
  """
  if not paths:
    return []
  dicom = dispatch.load('dicom')
  try:
    series = dicom.find_series(filter(dicom.is_dicom, paths), warn=warn)
  except errors.UserError as error:
    if not others:
      raise
    warn(f'left out: {error}')
    return []
  names = []
  for each in series:
    folder = each.paths[0].parent.relative_to(root).as_posix()
    names.append('' if folder == '.' else folder)
  found = []
  for number, (each, name) in enumerate(zip(series, names, strict=True), 1):
    shared = names.count(name) > 1
    home = _find_home(root, f'{name}/x') if name else None
    if not shared:
      full = name or root.absolute().name
      patient = patients.patient_of(f'{full}/x', numbered=False)
    else:  # several series in one folder: told apart by their description
      label = re.sub(r'[^A-Za-z0-9]+', '_', each.description).strip('_')
      label = f'series{number:02d}' + (f'_{label}' if label else '')
      full = f'{name}/{label}' if name else label
      patient = patients.hide(each.patient) if each.patient else label
      if name:
        patient = patients.patient_of(f'{name}/x', numbered=False)
    found.append(dispatch.Scan(full, patient, tuple(each.paths), 'dicom', home))
  return found


def _refuse_strangers(source, files):
  raise errors.UserError(
    f'{source} holds no scan: none of its {len(files)} files is '
    f'{dispatch.KNOWN}; the first is {files[0].name}'
  )


def _raise(error):
  raise error
