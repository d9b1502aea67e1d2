"""De-identified DICOM, element by element as PS3.15, Table E.1-1 has it."""

import io

import numpy as np
import pydicom
from pydicom import uid
import pytest

from cyclegan_jax.mri import identity
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dicom
from cyclegan_jax.mri.formats import dicom_writer

_KEY = bytes(range(32))
_VALUES = {  # by VR; long, so that nothing else has them by chance
  'DA': '19470312',
  'TM': '112233.445566',
  'DT': '19470312112233.44',
  'AS': '077Y',
  'CS': 'ZQXCODE',
  'PN': 'Zqxdoe^Zqxjane',
  'DS': '173.4321',
  'UI': '1.2.826.0.1.987654321.7',
  'SH': 'Zqxshort',
  'US': 54321,
}
# Name and action: X removed, Z emptied or replaced, D replaced, U mapped; of
# several the type of the attribute decides, and any will do.
_PROFILE = {
  **dict(PatientName='Z', PatientID='Z', IssuerOfPatientID='X'),
  **dict(PatientBirthDate='Z', PatientBirthTime='X', PatientSex='Z'),
  **dict(PatientInsurancePlanCodeSequence='X', OtherPatientIDs='X'),
  **dict(PatientPrimaryLanguageCodeSequence='X', OtherPatientNames='X'),
  **dict(OtherPatientIDsSequence='X', PatientBirthName='X', PatientAge='X'),
  **dict(PatientSize='X', PatientWeight='X', PatientAddress='X'),
  **dict(InsurancePlanIdentification='X', PatientMotherBirthName='X'),
  **dict(MilitaryRank='X', BranchOfService='X', MedicalRecordLocator='X'),
  **dict(ReferencedPatientPhotoSequence='X', MedicalAlerts='X'),
  **dict(Allergies='X', CountryOfResidence='X', RegionOfResidence='X'),
  **dict(PatientTelephoneNumbers='X', PatientTelecomInformation='X'),
  **dict(EthnicGroup='X', Occupation='X', SmokingStatus='X'),
  **dict(AdditionalPatientHistory='X', PregnancyStatus='X'),
  **dict(LastMenstrualDate='X', PatientReligiousPreference='X'),
  **dict(PatientSexNeutered='X/Z', ResponsiblePerson='X'),
  **dict(ResponsibleOrganization='X', PatientComments='X'),
  **dict(ClinicalTrialSponsorName='D', ClinicalTrialProtocolID='D'),
  **dict(ClinicalTrialProtocolName='Z', ClinicalTrialSiteID='Z'),
  **dict(ClinicalTrialSiteName='Z', ClinicalTrialSubjectID='D'),
  **dict(ClinicalTrialSubjectReadingID='D', ClinicalTrialTimePointID='Z'),
  **dict(ClinicalTrialTimePointDescription='X'),
  **dict(ClinicalTrialCoordinatingCenterName='Z', ClinicalTrialSeriesID='X'),
  **dict(ClinicalTrialSeriesDescription='X'),
  **dict(ClinicalTrialProtocolEthicsCommitteeName='D'),
  **dict(ClinicalTrialProtocolEthicsCommitteeApprovalNumber='X'),
  **dict(StudyDate='Z', StudyTime='Z', StudyID='Z', AccessionNumber='Z'),
  **dict(SeriesDate='X/D', SeriesTime='X/D', ContentDate='Z/D'),
  **dict(ContentTime='Z/D', InstanceCreationDate='X/D'),
  **dict(InstanceCreationTime='X/Z/D', AcquisitionDate='X/Z'),
  **dict(AcquisitionTime='X/Z', AcquisitionDateTime='X/Z/D'),
  **dict(ReferringPhysicianName='Z', ReferringPhysicianAddress='X'),
  **dict(ReferringPhysicianTelephoneNumbers='X', ConsultingPhysicianName='Z'),
  **dict(PerformingPhysicianName='X', OperatorsName='X/Z/D'),
  **dict(PhysiciansOfRecord='X', NameOfPhysiciansReadingStudy='X'),
  **dict(InstitutionName='X/Z/D', InstitutionAddress='X'),
  **dict(InstitutionalDepartmentName='X', StationName='X/Z/D'),
  **dict(DeviceSerialNumber='X/Z/D', ProtocolName='X/D', DeviceUID='U'),
  **dict(StudyDescription='X', ImageComments='X', StudyComments='X'),
  **dict(AdmittingDiagnosesDescription='X', RequestedProcedureID='X'),
  **dict(RequestedProcedureDescription='X/Z', RequestingPhysician='X'),
  **dict(RequestAttributesSequence='X', ReferencedStudySequence='X/Z'),
  **dict(ReferencedPatientSequence='X', TimezoneOffsetFromUTC='X'),
  **dict(AdmissionID='X', CurrentPatientLocation='X', VisitComments='X'),
  **dict(PerformedProcedureStepDescription='X', IrradiationEventUID='U'),
  **dict(PerformedProcedureStepStartDate='X', PerformedProcedureStepID='X'),
  **dict(StudyInstanceUID='U', SeriesInstanceUID='U', SOPInstanceUID='U'),
  **dict(FrameOfReferenceUID='U', SynchronizationFrameOfReferenceUID='U'),
}
# Descriptions are the program's own: the Clean Descriptors Option, action C.
_CLEANED = ('SeriesDescription', 'DerivationDescription')


def make_value(keyword):
  kind = pydicom.datadict.dictionary_VR(keyword)
  if kind == 'SQ':
    item = pydicom.Dataset()
    item.CodeMeaning = item.PatientName = 'Zqxnested'
    return [item]
  if kind == 'UI':
    return f'{_VALUES["UI"]}{list(_PROFILE).index(keyword)}'
  return _VALUES.get(kind, f'Zqx{keyword[:12]}')


def make_source(count=2, **changes):
  """Slices that fill whatever the profile names, and more."""
  values = {keyword: make_value(keyword) for keyword in _PROFILE}
  values |= {keyword: 'Zqxdescription' for keyword in _CLEANED}
  datasets = []
  for number in range(count):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    for keyword, value in (values | changes).items():
      setattr(dataset, keyword, value)
    dataset.SOPClassUID, dataset.Modality = uid.MRImageStorage, 'MR'
    dataset.SOPInstanceUID += f'.{number}'
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, 2 * number]
    dataset.PixelSpacing = [1, 1]
    dataset.PositionReferenceIndicator = 'Zqxnasion'
    dataset.StructureSetLabel = 'Zqxother'
    block = dataset.private_block(0x0011, 'Zqxvendor', create=True)
    block.add_new(1, 'LO', 'Zqxprivate')
    pixels = np.full((6, 8), 100 * number, np.uint16)
    dataset.set_pixel_data(pixels, 'MONOCHROME2', bits_stored=16)
    datasets.append(dataset)
  return datasets


def write(folder, datasets, key=_KEY):
  """The de-identified series of some slices, and what its files hold."""
  paths = []
  for number, dataset in enumerate(datasets):
    paths.append(folder / f'in{number}.dcm')
    folder.mkdir(exist_ok=True, parents=True)
    dataset.save_as(paths[-1], enforce_file_format=True)
  source = dicom.read_series(paths)
  provenance = volume_lib.Provenance(
    'T1w', 'T2w', {'run': 'mine'}, identity.Pseudonyms(key) if key else None
  )
  dicom_writer.write_series(folder / 'out', source.voxels, source, provenance)
  return [path.read_bytes() for path in sorted((folder / 'out').iterdir())]


def parse(content):
  return pydicom.dcmread(io.BytesIO(content))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  return write(tmp_path_factory.mktemp('series'), make_source())


@pytest.mark.parametrize('keyword,actions', _PROFILE.items())
def test_the_action_of_an_element(written, keyword, actions):
  value = make_value(keyword)
  for content in written:
    found = parse(content).get(keyword)
    allowed = {
      'X': found is None and keyword not in parse(content),
      'Z': keyword in parse(content) and found != value,
      'D': bool(found) and found != value,
      'U': bool(found) and not str(found).startswith(value),
    }
    # What is not carried over at all is removed, whatever its action.
    assert any(allowed[each] for each in ('X', *actions.split('/')))
    if isinstance(value, str):
      assert value.encode() not in content


def test_no_value_of_the_source_is_in_the_bytes(written):
  """In either byte order and whatever the element: also of those unlisted."""
  for content in written:
    assert b'zqx' not in content.lower()
    for value in _VALUES.values():
      if isinstance(value, str):
        assert value.encode() not in content
    # Its five digits may well be among those of a UID that was drawn.
    elements = [element.value for element in parse(content).iterall()]
    assert _VALUES['US'] not in elements


@pytest.mark.parametrize(
  'keyword',
  [
    *('PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex'),
    *('StudyDate', 'StudyTime', 'StudyID', 'AccessionNumber'),
    *('ReferringPhysicianName', 'StudyInstanceUID'),
  ],
)
def test_what_must_be_there_is_there(tmp_path, keyword):
  """Types 1 and 2 of the patient and study modules, also if they were not."""
  datasets = make_source()
  if keyword != 'StudyInstanceUID':
    for dataset in datasets:
      del dataset[keyword]
  for content in write(tmp_path, datasets):
    assert keyword in parse(content)


def test_a_series_says_how_it_was_done(written):
  for dataset in map(parse, written):
    assert dataset.PatientIdentityRemoved == 'YES'
    assert 'PS3.15' in dataset.DeidentificationMethod
    codes = [
      (code.CodeValue, code.CodingSchemeDesignator)
      for code in dataset.DeidentificationMethodCodeSequence
    ]
    assert codes == [('113100', 'DCM'), ('113105', 'DCM')]
    assert dataset.LongitudinalTemporalInformationModified == 'REMOVED'
    assert dataset.BurnedInAnnotation == 'NO'
    assert dataset.RecognizableVisualFeatures == 'YES'
    assert 'not for diagnosis' in dataset.SeriesDescription
    assert not any(element.tag.is_private for element in dataset)


def test_uids_are_mapped_alike_and_geometry_stays(tmp_path):
  first = list(map(parse, write(tmp_path / 'a', make_source())))
  again = list(map(parse, write(tmp_path / 'b', make_source())))
  other = list(map(parse, write(tmp_path / 'c', make_source(), key=b'x' * 32)))
  for keyword in ('StudyInstanceUID', 'FrameOfReferenceUID', 'PatientID'):
    values = {dataset[keyword].value for dataset in (*first, *again)}
    assert len(values) == 1
    assert other[0][keyword].value not in values
  references = [
    dataset.SourceImageSequence[0].ReferencedSOPInstanceUID for dataset in first
  ]
  assert len(set(references)) == 2
  for dataset in first:
    for element in dataset.iterall():
      if element.VR == 'UI':
        assert uid.UID(element.value).is_valid, element
  places = sorted(dataset.ImagePositionPatient[2] for dataset in first)
  assert places == [0, 2]
  assert first[0].SeriesInstanceUID != again[0].SeriesInstanceUID


@pytest.mark.parametrize(
  'changes',
  [{'PatientID': 'Zqx2'}, {'IssuerOfPatientID': 'Zqx2'}],
  ids=['another patient', 'of another hospital'],
)
def test_patients_stay_apart(tmp_path, changes):
  (one, _), (two, _) = (
    map(parse, write(tmp_path / name, make_source(**given)))
    for name, given in (('a', {}), ('b', changes))
  )
  assert one.PatientID != two.PatientID
  assert one.PatientID == one.PatientName == one.ClinicalTrialSubjectID


def test_without_it_patient_and_study_stay(tmp_path):
  """The derived series belongs beside its source."""
  for dataset in map(parse, write(tmp_path, make_source(), key=None)):
    for keyword in (
      *('PatientName', 'PatientID', 'PatientBirthDate', 'StudyInstanceUID'),
      *('FrameOfReferenceUID', 'StudyDate', 'AccessionNumber'),
    ):
      assert dataset[keyword].value == make_value(keyword)
    assert dataset.ImageType[:2] == ['DERIVED', 'SECONDARY']
    assert dataset.SeriesInstanceUID != make_value('SeriesInstanceUID')
    assert 'RecognizableVisualFeatures' not in dataset
    assert not any(element.tag.is_private for element in dataset)


@pytest.mark.parametrize('said', ['YES', 'NO'])
def test_text_in_the_pixels_stays_told(tmp_path, said):
  datasets = make_source(BurnedInAnnotation=said)
  for dataset in map(parse, write(tmp_path, datasets, key=None)):
    assert dataset.BurnedInAnnotation == said
