"""De-identified DICOM, by the Basic Application Level Confidentiality Profile.

The profile (DICOM PS3.15, Annex E) says for each attribute what becomes of it:
removed (X), emptied or replaced (Z), replaced (D), a UID mapped (U). The writer
copies few attributes, so that this is short. What of the patient and of the
trial is not named here is removed, whether the profile lists it or not.
"""

import highdicom
import pydicom

from cyclegan_jax.mri import identity

_ALL_OF_GROUPS = (0x0010, 0x0012)  # patient; trial and de-identification
_EMPTIED = (  # Z; what the standard wants to be there even if it is empty
  *('StudyDate', 'StudyTime', 'StudyID', 'AccessionNumber'),
  *('ReferringPhysicianName', 'PatientBirthDate', 'PatientSex'),
  *('ContentDate', 'ContentTime'),
  'PositionReferenceIndicator',  # not in the profile, but free text
)
_REMOVED = (  # X, also where the profile allows Z or D
  *('StudyDescription', 'InstitutionName', 'SeriesDate', 'SeriesTime'),
  *('InstanceCreationDate', 'InstanceCreationTime'),
)
_EMPTIED_IF_THERE = (  # Z
  *('ClinicalTrialProtocolName', 'ClinicalTrialSiteID'),
  *('ClinicalTrialSiteName', 'ClinicalTrialCoordinatingCenterName'),
  'ClinicalTrialTimePointID',
)
_REPLACED_IF_THERE = (  # D
  *('ClinicalTrialSponsorName', 'ClinicalTrialProtocolID'),
  *('ClinicalTrialSubjectID', 'ClinicalTrialSubjectReadingID'),
  'ClinicalTrialProtocolEthicsCommitteeName',
)
_MAPPED = (  # U
  *('StudyInstanceUID', 'FrameOfReferenceUID', 'ReferencedSOPInstanceUID'),
)
_METHODS = (  # of PS3.16, CID 7050
  ('113100', 'Basic Application Confidentiality Profile'),
  # All descriptions are the program's own.
  ('113105', 'Clean Descriptors Option'),
)


def apply(plane: pydicom.Dataset, pseudonyms: identity.Pseudonyms):
  """Takes out of a data set, in place, who it is of; says that it did.

  Args:
    plane: as the writer copied it, with what it says itself.
    pseudonyms: in place of names, numbers and UIDs.
  """
  patient = _find_patient(plane)
  there = {element.keyword for element in plane}
  for element in list(plane):
    group, keyword = element.tag.group, element.keyword
    if group in _ALL_OF_GROUPS or keyword in _REMOVED or group % 2:
      del plane[element.tag]
  _map_uids(plane, pseudonyms)
  for keyword in (*_EMPTIED, *there.intersection(_EMPTIED_IF_THERE)):
    setattr(plane, keyword, None)
  for keyword in there.intersection(_REPLACED_IF_THERE):
    setattr(plane, keyword, 'REMOVED')
  code = pseudonyms.code('patient', *patient)
  if 'ClinicalTrialSubjectID' in plane:
    plane.ClinicalTrialSubjectID = code
  plane.PatientName = plane.PatientID = code
  plane.PatientIdentityRemoved = 'YES'
  plane.DeidentificationMethod = 'cyclegan_jax --deidentify, DICOM PS3.15'
  plane.DeidentificationMethodCodeSequence = [
    highdicom.sr.CodedConcept(value, 'DCM', meaning)
    for value, meaning in _METHODS
  ]
  plane.LongitudinalTemporalInformationModified = 'REMOVED'
  # Whole heads have faces; that this one has none, nobody can vouch for.
  plane.RecognizableVisualFeatures = 'YES'


def _find_patient(plane):
  """What tells a patient apart from all others, as far as it is said."""
  for keywords in (
    ('PatientID', 'IssuerOfPatientID'),
    ('PatientName', 'PatientBirthDate'),
    ('StudyInstanceUID',),
  ):
    if plane.get(keywords[0]):
      return [str(plane.get(keyword) or '') for keyword in keywords]
  return ['']


def _map_uids(dataset, pseudonyms):
  for element in dataset:
    if element.VR == 'SQ':
      for item in element.value:
        _map_uids(item, pseudonyms)
    elif element.keyword in _MAPPED and element.value:
      element.value = pseudonyms.uid(str(element.value))
